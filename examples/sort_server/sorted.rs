//! Sorting a JSON list as Python sorts it: pure, knows nothing of connections.
//!
//! Numbers are compared by value, whatever their kind and size (`true` is 1), texts by code points, lists item by
//! item. Nothing else can be ordered, which is an error as soon as two such items meet; a list of one item is
//! sorted whatever it is.
//!
//! Limits: text that is no Unicode (a lone surrogate, `\ud800`) and lists nested more than 128 deep are refused, and
//! so are NaN and Infinity, which are not JSON.

use std::cell::Cell;
use std::cmp::Ordering;
use std::collections::HashMap;

use serde_json::Value;

use super::python_json::{Item, dumps};

/// The list in `request`, sorted and printed.
pub fn sorted(request: &[u8]) -> Result<String, String> {
    let list: Value = serde_json::from_slice(request).map_err(|error| format!("not JSON: {error}"))?;
    let Value::Array(list) = list else {
        return Err("JSON, but not a list".to_string());
    };
    // Numbers are read once, not at each comparison.
    let mut items: Vec<Item> = list.into_iter().map(Item::new).collect();
    let cannot = Cell::new(None);
    items.sort_by(|one, other| compare(one, other, &cannot));
    match cannot.get() {
        None => Ok(dumps(&items)),
        Some((one, other)) => Err(format!("a list that cannot be ordered: {one} and {other}")),
    }
}

/// The order of two items. If they have none that is noted in `cannot`; they get one all the same, by kind and
/// text, because sorting wants to have an order.
fn compare(one: &Item, other: &Item, cannot: &Cell<Option<(&'static str, &'static str)>>) -> Ordering {
    match (one, other) {
        (Item::Number(one), Item::Number(other)) => one.compare(other),
        (Item::Text(one), Item::Text(other)) => one.cmp(other),
        (Item::List(ones), Item::List(others)) => {
            let pairs = ones.iter().zip(others);
            let mut orders = pairs.filter(|(one, other)| !equal(one, other));
            let first = orders.next().map(|(one, other)| compare(one, other, cannot));
            first.unwrap_or_else(|| ones.len().cmp(&others.len()))
        }
        _ => match (one.as_number(), other.as_number()) {
            (Some(one), Some(other)) => one.compare(&other),
            _ => {
                cannot.set(Some((one.kind(), other.kind())));
                one.kind().cmp(other.kind()).then_with(|| dumps(one).cmp(&dumps(other)))
            }
        },
    }
}

/// Whether Python finds two items equal, which it can always say.
fn equal(one: &Item, other: &Item) -> bool {
    match (one, other) {
        (Item::List(ones), Item::List(others)) => {
            ones.len() == others.len() && ones.iter().zip(others).all(|(one, other)| equal(one, other))
        }
        (Item::Map(ones), Item::Map(others)) => {
            let others: HashMap<&str, &Item> =
                others.iter().map(|(name, item)| (name.as_str(), item)).collect();
            let has = |(name, item): &(String, Item)| {
                others.get(name.as_str()).is_some_and(|other| equal(item, other))
            };
            ones.len() == others.len() && ones.iter().all(has)
        }
        _ => match (one.as_number(), other.as_number()) {
            (Some(one), Some(other)) => one.compare(&other) == Ordering::Equal,
            _ => one == other,
        },
    }
}
