//! Numbers of any size, compared and printed as Python does.
//!
//! Whole numbers have no limit, so those beyond 64 bits are kept as their digits; all others are floats, as Python
//! reads them, and are printed with the fewest digits that give the same float again.

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};
use std::fmt;

/// A number as Python reads it.
#[derive(Clone, Debug, PartialEq)]
pub enum Number {
    /// A whole number.
    Small(i64),
    /// A whole number beyond 64 bits.
    Big {
        /// Whether it is below zero.
        negative: bool,
        /// Its digits, without leading zeros.
        digits: Box<str>,
    },
    /// Any other number; never NaN.
    Float(f64),
}

impl Number {
    /// The number that JSON writes as `text`.
    pub fn new(text: &str) -> Number {
        if text.contains(['.', 'e', 'E']) {
            return Number::Float(text.parse().expect("a number of JSON is one of Rust"));
        }
        text.parse().map_or_else(|_| Number::big(text), Number::Small)
    }

    /// The same for one beyond 64 bits.
    fn big(text: &str) -> Number {
        let digits = text.trim_start_matches('-');
        Number::Big { negative: digits.len() < text.len(), digits: digits.into() }
    }

    /// The order by value, exact also between floats and whole numbers.
    pub fn compare(&self, other: &Number) -> Ordering {
        match (self, other) {
            (Number::Small(one), Number::Small(other)) => one.cmp(other),
            (Number::Float(one), Number::Float(other)) => one.partial_cmp(other).expect("no number is NaN"),
            (Number::Float(one), _) => compare_with_float(other, *one).reverse(),
            (_, Number::Float(other)) => compare_with_float(self, *other),
            _ => self.in_digits().cmp(&other.in_digits()),
        }
    }

    /// A whole number as something that has its order.
    fn in_digits(&self) -> InDigits<'_> {
        let (negative, digits): (bool, Cow<'_, str>) = match self {
            Number::Small(number) => (*number < 0, number.unsigned_abs().to_string().into()),
            Number::Big { negative, digits } => (*negative, (&**digits).into()),
            Number::Float(float) => (*float < 0.0, format!("{:.0}", float.abs()).into()),
        };
        match negative && digits != "0" {
            true => InDigits::Negative(Reverse((digits.len(), digits))),
            false => InDigits::NotNegative(digits.len(), digits),
        }
    }
}

/// The decimal digits of a whole number.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum InDigits<'a> {
    /// Below zero: the larger, the lower.
    Negative(Reverse<(usize, Cow<'a, str>)>),
    /// Zero or more.
    NotNegative(usize, Cow<'a, str>),
}

/// How many digits the largest floats have.
const DIGITS_OF_A_FLOAT: usize = 309;

/// The order of a whole number and a float.
fn compare_with_float(whole: &Number, float: f64) -> Ordering {
    if float.is_infinite() {
        return if float > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    if let Number::Small(small) = whole
        && small.unsigned_abs() < 1 << 53
    {
        // Such a number is a float itself.
        return (*small as f64).partial_cmp(&float).expect("no number is NaN");
    }
    if let Number::Big { negative, digits } = whole {
        let size = if digits.len() > DIGITS_OF_A_FLOAT {
            f64::INFINITY
        } else {
            digits.parse().expect("digits are a float, near to them")
        };
        // Rounding keeps the order: only where the nearest float is the other one, all digits count.
        match (if *negative { -size } else { size }).partial_cmp(&float) {
            Some(Ordering::Equal) | None => {}
            Some(order) => return order,
        }
    }
    // A float without its fraction is a whole number, and Rust prints all of its digits.
    let by_whole = whole.in_digits().cmp(&Number::Float(float.trunc()).in_digits());
    by_whole.then_with(|| 0.0.partial_cmp(&float.fract()).expect("no number is NaN"))
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::Small(number) => write!(f, "{number}"),
            Number::Big { negative, digits } => write!(f, "{}{digits}", if *negative { "-" } else { "" }),
            Number::Float(float) if float.is_infinite() => {
                f.write_str(if *float > 0.0 { "Infinity" } else { "-Infinity" })
            }
            Number::Float(float) => write_float(f, *float),
        }
    }
}

/// Prints a float as Python's `repr` does: with an exponent below 1e-4 and from 1e16 on.
///
/// Both languages print the fewest digits that give the same float again. Where two numbers of so many digits
/// are equally near, Python takes the even one, and so does Rust if it is told how many digits to print.
fn write_float(f: &mut fmt::Formatter<'_>, float: f64) -> fmt::Result {
    let shortest = format!("{float:e}");
    let (digits, exponent) = shortest.split_once('e').expect("the format has an exponent");
    let exponent: i32 = exponent.parse().expect("the exponent is a number");
    let after_the_first = digits.bytes().filter(u8::is_ascii_digit).count() - 1;
    if float != 0.0 && !(-4..16).contains(&exponent) {
        let exact = format!("{float:.after_the_first$e}");
        let (digits, _) = exact.split_once('e').expect("the format has an exponent");
        let sign = if exponent < 0 { '-' } else { '+' };
        return write!(f, "{digits}e{sign}{:02}", exponent.abs());
    }
    // A whole number has one digit behind the point all the same.
    let decimals = usize::try_from(after_the_first as i32 - exponent).unwrap_or(0).max(1);
    write!(f, "{float:.decimals$}")
}
