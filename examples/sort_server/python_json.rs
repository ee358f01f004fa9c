//! JSON values, printed in the format of Python's `json.dumps`: `[1, 2.5, "\u00e9"]`.

use std::fmt::Write;

use serde_json::Value;

use super::number::Number;

/// A value with its numbers read.
#[derive(Debug, PartialEq)]
pub enum Item {
    /// Nothing.
    Null,
    /// Yes or no.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Some text.
    Text(String),
    /// Items in order.
    List(Vec<Item>),
    /// Items under names, in the order in which they were given.
    Map(Vec<(String, Item)>),
}

impl Item {
    /// Reads the numbers of a value.
    pub fn new(value: Value) -> Item {
        match value {
            Value::Null => Item::Null,
            Value::Bool(value) => Item::Bool(value),
            Value::Number(number) => Item::Number(Number::new(number.as_str())),
            Value::String(text) => Item::Text(text),
            Value::Array(items) => Item::List(items.into_iter().map(Item::new).collect()),
            Value::Object(items) => {
                Item::Map(items.into_iter().map(|(name, item)| (name, Item::new(item))).collect())
            }
        }
    }

    /// What Python calls such a value.
    pub fn kind(&self) -> &'static str {
        match self {
            Item::Null => "NoneType",
            Item::Bool(_) | Item::Number(_) => "number",
            Item::Text(_) => "str",
            Item::List(_) => "list",
            Item::Map(_) => "dict",
        }
    }

    /// The number that a value is.
    pub fn as_number(&self) -> Option<Number> {
        match self {
            Item::Bool(value) => Some(Number::Small(i64::from(*value))),
            Item::Number(number) => Some(number.clone()),
            _ => None,
        }
    }
}

/// What can be printed as JSON.
pub trait Dump {
    /// Prints it to the end of `out`.
    fn dump(&self, out: &mut String);
}

/// The JSON of a value.
pub fn dumps(value: &(impl Dump + ?Sized)) -> String {
    let mut out = String::new();
    value.dump(&mut out);
    out
}

impl Dump for Item {
    fn dump(&self, out: &mut String) {
        match self {
            Item::Null => out.push_str("null"),
            Item::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Item::Number(number) => write!(out, "{number}").expect("a string takes everything"),
            Item::Text(text) => text.as_str().dump(out),
            Item::List(items) => items.dump(out),
            Item::Map(items) => dump_all(out, '{', '}', items, |(name, item), out| {
                name.as_str().dump(out);
                out.push_str(": ");
                item.dump(out);
            }),
        }
    }
}

impl Dump for Vec<Item> {
    fn dump(&self, out: &mut String) {
        dump_all(out, '[', ']', self, Item::dump);
    }
}

/// Prints items between brackets.
fn dump_all<T>(out: &mut String, open: char, close: char, items: &[T], dump: impl Fn(&T, &mut String)) {
    out.push(open);
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        dump(item, out);
    }
    out.push(close);
}

impl Dump for str {
    /// In ASCII: everything else becomes `\uXXXX`, in UTF-16.
    fn dump(&self, out: &mut String) {
        out.push('"');
        for letter in self.chars() {
            match letter {
                '"' => out.push_str("\\\""),
                '\\' => out.push_str("\\\\"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                '\t' => out.push_str("\\t"),
                '\u{8}' => out.push_str("\\b"),
                '\u{c}' => out.push_str("\\f"),
                ' '..='~' => out.push(letter),
                _ => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        write!(out, "\\u{unit:04x}").expect("a string takes everything");
                    }
                }
            }
        }
        out.push('"');
    }
}
