//! JSON from outside: how deep it may go, and what is said when it is not as it should be.

use ordermill_core::intake::Violation;
use ordermill_core::limits::JSON_DEPTH_MAX;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::error::Category;

use crate::error_code::{ErrorCode, MALFORMED_JSON, TOO_DEEP};
use crate::problem::Problem;

/// Where whole numbers of 64 bits end.
const I64_END: f64 = 9_223_372_036_854_775_808.0;

/// Reads a value. What is no JSON is 400 with its place; what is JSON of another shape is `shape` with the path of its field.
///
/// # Errors
/// The problem to answer with.
pub(crate) fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8], shape: &'static ErrorCode) -> Result<T, Problem> {
    check_depth(bytes)?;
    // The path of a wrong field costs time on every field, so it is asked for only when something is wrong.
    let value = serde_json::from_slice(bytes).map_err(|error| explain::<T>(bytes, &error, shape))?;
    // serde also reads an object's fields from an array, by their place; that is nothing to offer to callers.
    if bytes.trim_ascii_start().first() == Some(&b'{') {
        return Ok(value);
    }
    Err(no_object(shape))
}

fn no_object(shape: &'static ErrorCode) -> Problem {
    Problem::field(shape, "(body)", "must be an object")
}

/// Looks at brackets alone, before anything is built or recurses.
pub(crate) fn check_depth(bytes: &[u8]) -> Result<(), Problem> {
    let mut depth = 0_usize;
    let mut in_text = false;
    let mut escaped = false;
    for (offset, byte) in bytes.iter().enumerate() {
        if in_text {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_text = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'[' | b'{' => {
                depth += 1;
                if depth > JSON_DEPTH_MAX {
                    let detail = format!("at byte {offset} it is nested deeper than {JSON_DEPTH_MAX} levels");
                    return Err(Problem::new(&TOO_DEEP, detail));
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

fn explain<'a, T: Deserialize<'a>>(bytes: &'a [u8], error: &serde_json::Error, shape: &'static ErrorCode) -> Problem {
    if error.classify() != Category::Data {
        return Problem::new(&MALFORMED_JSON, words(error));
    }
    // A wrong field in front of a syntax error is not worth correcting first.
    if let Err(error) = std::str::from_utf8(bytes) {
        return Problem::new(&MALFORMED_JSON, format!("not UTF-8 at byte {}", error.valid_up_to()));
    }
    if let Err(error) = serde_json::from_slice::<IgnoredAny>(bytes) {
        return Problem::new(&MALFORMED_JSON, words(&error));
    }
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return no_object(shape);
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(&mut deserializer) {
        Ok(_) => Problem::new(shape, words(error)),
        Err(located) => {
            let violation = violation(&located.path().to_string(), &located.inner().to_string());
            Problem::violations(shape, vec![violation])
        }
    }
}

/// What is wrong, with its place: of one line the column, as a line of an import has a number of its own.
fn words(error: &serde_json::Error) -> String {
    error.to_string().replace(" at line 1 column ", " at column ")
}

/// Says a value of the wrong type without Rust's names of types: `must be a whole number, is 1.5`.
fn plain(message: &str) -> Option<String> {
    let said = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    let (given, expected) = said.rsplit_once(", expected ")?;
    let number = given.strip_prefix("integer `").or_else(|| given.strip_prefix("floating point `"));
    let number = number.and_then(|rest| rest.strip_suffix('`'));
    let expected = match expected {
        "i64" | "i32"
            if number.and_then(|number| number.parse().ok()).is_some_and(|number: f64| number.abs() >= I64_END) =>
        {
            return Some("is a number that is too large".to_owned());
        }
        "i64" | "i32" => "a whole number",
        "u64" | "u32" | "u16" | "u8" | "usize" => "a whole number, not negative",
        "f64" | "f32" => "a number",
        "a boolean" => "true or false",
        "a sequence" => "an array",
        "a map" => "an object",
        named if named.starts_with("struct ") => "an object",
        other => other,
    };
    let given = match (number, given) {
        (Some(number), _) => number,
        (None, "sequence") => "an array",
        (None, "map") => "an object",
        (None, "unit value") => "null",
        (None, other) => other.strip_prefix("string ").or_else(|| other.strip_prefix("boolean ")).unwrap_or(other),
    };
    Some(format!("must be {expected}, is {}", given.trim_matches('`')))
}

/// Turns serde's words into a field and a message. A field that is missing is part of the path; serde names it in its message.
fn violation(path: &str, message: &str) -> Violation {
    let message = message.rsplit_once(" at line ").map_or(message, |(message, _place)| message);
    let parent = if path == "." { "" } else { path };
    let child = |name: &str| match parent {
        "" => name.to_owned(),
        parent if parent == name || parent.ends_with(&format!(".{name}")) => parent.to_owned(),
        parent => format!("{parent}.{name}"),
    };
    let named = |prefix: &str| message.strip_prefix(prefix)?.split('`').next();
    if let Some(name) = named("missing field `") {
        return Violation::new(child(name), "is required");
    }
    if let Some(name) = named("unknown field `") {
        return Violation::new(child(name), "is not a field known here");
    }
    if let Some(name) = named("duplicate field `") {
        return Violation::new(child(name), "is given more than once");
    }
    let field = if parent.is_empty() { "(body)" } else { parent };
    Violation::new(field, plain(message).unwrap_or_else(|| message.to_owned()))
}

#[cfg(test)]
mod tests {
    use ordermill_core::intake::OrderDraft;

    use super::*;
    use crate::error_code::INVALID_ORDER;

    fn refuse(text: &str) -> (&'static str, Option<(String, String)>) {
        let problem = parse::<OrderDraft>(text.as_bytes(), &INVALID_ORDER).expect_err("it is not an order");
        (problem.code.code, problem.errors.first().map(|error| (error.field.clone(), error.message.clone())))
    }

    fn field(text: &str) -> (String, String) {
        let (code, field) = refuse(text);
        assert_eq!(code, "invalid_order");
        field.expect("the field is named")
    }

    #[test]
    fn what_is_no_json_is_malformed() {
        for bad in [
            "",
            "{",
            "{\"customer_id\":\"c\",",
            "nul",
            "{} x",
            "{\"customer_id\":1e999}",
            "{\"customer_id\":\"\\ud800\"}",
        ] {
            assert_eq!(refuse(bad).0, "malformed_json", "{bad:?}");
        }
        let problem =
            parse::<OrderDraft>(b"{\"customer_id\":\"\xff\",\"lines\":[]}", &INVALID_ORDER).expect_err("bad UTF-8");
        assert_eq!(problem.code.code, "malformed_json");
        assert!(problem.detail.contains(" at column 17"), "{}", problem.detail);
        let problem = parse::<OrderDraft>(b"{\n!", &INVALID_ORDER).expect_err("no JSON");
        assert!(problem.detail.ends_with("at line 2 column 1"), "{}", problem.detail);
    }

    #[test]
    fn depth_is_counted_outside_of_texts() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(check_depth(nested(JSON_DEPTH_MAX).as_bytes()).is_ok());
        assert!(check_depth(nested(JSON_DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(check_depth(format!("\"\\\"{}\"", nested(100)).as_bytes()).is_ok());
        assert_eq!(refuse(&"[".repeat(1_000_000)).0, "too_deep");
    }

    /// Types of the program say nothing to a caller.
    #[test]
    fn values_of_the_wrong_type_are_told_in_plain_words() {
        let quantity = |value: &str| {
            field(&format!("{{\"customer_id\":\"c\",\"lines\":[{{\"product_id\":\"p\",\"quantity\":{value}}}]}}")).1
        };
        assert_eq!(quantity("1.5"), "must be a whole number, is 1.5");
        assert_eq!(quantity("\"2\""), "must be a whole number, is \"2\"");
        assert_eq!(quantity("true"), "must be a whole number, is true");
        assert_eq!(quantity("null"), "must be a whole number, is null");
        assert_eq!(quantity("[1]"), "must be a whole number, is an array");
        assert_eq!(quantity("99999999999999999999"), "is a number that is too large");
        assert_eq!(quantity("9223372036854775808"), "is a number that is too large");
        assert_eq!(field("{\"customer_id\":\"c\",\"lines\":{}}").1, "must be an array, is an object");
        assert_eq!(field("{\"customer_id\":\"c\",\"lines\":[7]}").1, "must be an object, is 7");
    }

    #[test]
    fn the_field_is_named() {
        assert_eq!(field("{\"lines\":[]}"), ("customer_id".into(), "is required".into()));
        assert_eq!(
            field("{\"customer_id\":\"c\",\"lines\":[{\"product_id\":\"p\"}]}"),
            ("lines[0].quantity".into(), "is required".into())
        );
        assert_eq!(
            field("{\"customer_id\":\"c\",\"lines\":[],\"colour\":1}"),
            ("colour".into(), "is not a field known here".into())
        );
        assert_eq!(field("{\"customer_id\":7,\"lines\":[]}"), ("customer_id".into(), "must be a string, is 7".into()));
        let (name, _) =
            field("{\"customer_id\":\"c\",\"lines\":[{\"product_id\":\"p\",\"quantity\":99999999999999999999}]}");
        assert_eq!(name, "lines[0].quantity");
        let price = "{\"customer_id\":\"c\",\"lines\":[{\"product_id\":\"p\",\"quantity\":1,\"unit_price\":{\"amount_minor\":1.5,\"currency\":\"USD\"}}]}";
        assert_eq!(field(price).0, "lines[0].unit_price.amount_minor");
        assert_eq!(field("[]").0, "(body)");
        assert_eq!(field("{\"customer_id\":\"c\",\"customer_id\":\"d\",\"lines\":[]}").0, "customer_id");
    }
}
