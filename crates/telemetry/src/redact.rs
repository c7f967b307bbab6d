//! Masks what must not be in a log line: mail addresses, user and password in URLs, bearer tokens.

use std::borrow::Cow;

const MASK: &str = "…";

/// The text with everything of the kind masked; hosts and domains stay, as they help and give nobody away.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut cuts = Vec::new();
    find_at_signs(text, &mut cuts);
    find_bearers(text, &mut cuts);
    if cuts.is_empty() {
        return Cow::Borrowed(text);
    }
    cuts.sort_unstable();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (start, end) in cuts {
        // A cut within another is covered by it.
        if start >= from {
            out.push_str(&text[from..start]);
            out.push_str(MASK);
            from = end;
        }
    }
    out.push_str(&text[from..]);
    Cow::Owned(out)
}

/// What stands before each `@` of an address or of a URL.
fn find_at_signs(text: &str, cuts: &mut Vec<(usize, usize)>) {
    for (at, _) in text.match_indices('@') {
        let before = &text[..at];
        if let Some(start) = user_info_start(before) {
            cuts.push((start, at));
            continue;
        }
        let start = before.rfind(|c: char| !is_local(c)).map_or(0, |last| last + char_len(before, last));
        let start = after_colour(before, start);
        // A name without a dot is no host that mail goes to: `<ord_….confirmed.1@ordermill>` is a Message-ID.
        let domain = text[at + 1..].split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '.').next();
        if start < at && domain.is_some_and(|domain| domain.trim_end_matches('.').contains('.')) {
            cuts.push((start, at));
        }
    }
}

/// Where the user of `scheme://user:password` begins, if that is what stands before an `@`.
fn user_info_start(before: &str) -> Option<usize> {
    let start = before.rfind("://")? + 3;
    let user_info = &before[start..];
    let plain = !user_info.is_empty() && !user_info.contains(|c: char| c == '/' || c == '"' || c.is_whitespace());
    plain.then_some(start)
}

const fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '*' | '&' | '~')
}

fn char_len(text: &str, at: usize) -> usize {
    text[at..].chars().next().map_or(1, char::len_utf8)
}

/// A colour's escape sequence (`ESC [ 0 m`) ends in what looks like the beginning of a name.
fn after_colour(before: &str, start: usize) -> usize {
    if !before[..start].ends_with("\u{1b}[") {
        return start;
    }
    before[start..].find('m').map_or(start, |end| start + end + 1)
}

/// What follows `Bearer ` in any case.
fn find_bearers(text: &str, cuts: &mut Vec<(usize, usize)>) {
    const WORD: &str = "bearer ";
    // ASCII lower case keeps every offset.
    let lower = text.to_ascii_lowercase();
    for (at, _) in lower.match_indices(WORD) {
        let start = at + WORD.len();
        let token =
            text[start..].split(|c: char| c.is_whitespace() || c == '"' || c == '\\').next().unwrap_or_default();
        if !token.is_empty() {
            cuts.push((start, start + token.len()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_secrets_are_masked() {
        for (text, expected) in [
            ("to ann.b+x@example.com now", "to …@example.com now"),
            ("\"ann@shop.example\"", "\"…@shop.example\""),
            ("postgres://shop:hunter2@db/orders", "postgres://…@db/orders"),
            ("authorization: Bearer abc.def \"x\"", "authorization: Bearer … \"x\""),
            ("\u{1b}[0mann@example.com", "\u{1b}[0m…@example.com"),
            ("a@b.de,c@d.de", "…@b.de,…@d.de"),
        ] {
            assert_eq!(redact(text), expected);
        }
    }

    #[test]
    fn everything_else_stays_as_it_is() {
        for text in ["<ord_01.confirmed.1@ordermill>", "@", "x @ y.z", "http://127.0.0.1:7070/v1", "größe@", "bearer "]
        {
            assert!(matches!(redact(text), Cow::Borrowed(_)), "{text}");
        }
    }
}
