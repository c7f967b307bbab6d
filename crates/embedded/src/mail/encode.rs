//! Text as mail carries it: RFC 2045 quoted-printable for bodies, RFC 2047 encoded words for headers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;

/// Characters of one line in quoted-printable, without its end (RFC 2045, 6.7).
const QUOTED_LINE_MAX: usize = 76;

/// Octets of one line that may travel as it is, without its end (RFC 5322, 2.1.1).
const PLAIN_LINE_MAX: usize = 998;

/// Characters a header line should have at the most, without its end (RFC 5322, 2.1.1).
const HEADER_LINE_MAX: usize = 78;

/// Bytes of text in one encoded word: in base64 and with its frame it stays within the 75 characters of RFC 2047, 2. The first
/// one shares its line, of 76 characters at the most, with the header's name.
const WORD_BYTES_MAX: usize = 45;
const FIRST_WORD_BYTES_MAX: usize = 36;

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// Whether a body may travel as it is: ASCII without control characters, in lines of bounded length, and without what could be
/// taken for the boundary between parts, all of which begin with `=_`.
pub(super) fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    // Without a shortcut, so that many bytes are looked at in one instruction.
    let is_printable = |all: bool, byte: &u8| all & matches!(byte, b' '..=b'~' | b'\n' | b'\t');
    bytes.iter().fold(true, is_printable)
        && memmem::find(bytes, b"=_").is_none()
        && (bytes.len() <= PLAIN_LINE_MAX
            || bytes.split(|byte| *byte == b'\n').all(|line| line.len() <= PLAIN_LINE_MAX))
}

/// Adds a body in quoted-printable. Line ends are kept, every other control character is encoded, and so is the beginning of a
/// line that a mail file would have to quote: what is read back is then right in programs too that do not take quotes off.
pub(super) fn quoted_printable(text: &str, out: &mut Vec<u8>) {
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            out.push(b'\n');
        }
        quoted_line(line.strip_suffix('\r').unwrap_or(line).as_bytes(), out);
    }
}

fn quoted_line(line: &[u8], out: &mut Vec<u8>) {
    let mut column = 0;
    for (place, byte) in line.iter().copied().enumerate() {
        // White space at the end of a line gets lost on the way unless it is encoded.
        let last = place + 1 == line.len();
        let printable = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !last);
        let width_max = QUOTED_LINE_MAX - usize::from(!last);
        if column + if printable { 1 } else { 3 } > width_max {
            out.extend_from_slice(b"=\n");
            column = 0;
        }
        let plain = printable && (column > 0 || !is_separator_like(&line[place..]));
        let width = if plain { 1 } else { 3 };
        column += width;
        if plain {
            out.push(byte);
        } else {
            out.extend_from_slice(&[b'=', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
}

/// Whether a mail file has to quote a line with this beginning: `From ` behind any number of `>`.
fn is_separator_like(line: &[u8]) -> bool {
    let quotes = line.iter().take_while(|byte| **byte == b'>').count();
    line[quotes..].starts_with(b"From ")
}

/// Adds `name: text`, folded, with its end. Text that is not printable ASCII becomes encoded words; control characters become
/// spaces, so that no text can begin a header of its own.
pub(super) fn header(name: &str, text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    if is_header_text(text) {
        folded(name.len() + 1, text, out);
    } else {
        encoded_words(text, out);
    }
    out.push(b'\n');
}

fn is_header_text(text: &str) -> bool {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let foldable = text.split(' ').all(|word| word.len() < HEADER_LINE_MAX);
    printable && foldable && !text.contains("   ") && !text.contains("=?")
}

/// Words on lines of bounded length; each further line begins with the space that divides the words.
fn folded(mut column: usize, text: &str, out: &mut Vec<u8>) {
    for word in text.split(' ') {
        // An empty word stands for several spaces on end; a line of nothing but spaces would end the headers.
        if column + 1 + word.len() > HEADER_LINE_MAX && !word.is_empty() {
            out.push(b'\n');
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
}

/// Adds the text as encoded words, one a line. A character is never divided between two (RFC 2047, 5).
pub(super) fn encoded_words(text: &str, out: &mut Vec<u8>) {
    let clean: String = text.chars().map(|character| if character.is_control() { ' ' } else { character }).collect();
    let mut rest = clean.as_str();
    let mut bytes_max = FIRST_WORD_BYTES_MAX;
    while !rest.is_empty() {
        let (word, behind) = rest.split_at(rest.floor_char_boundary(bytes_max));
        if bytes_max == WORD_BYTES_MAX {
            out.push(b'\n');
        }
        bytes_max = WORD_BYTES_MAX;
        out.extend_from_slice(b" =?utf-8?B?");
        out.extend_from_slice(STANDARD.encode(word).as_bytes());
        out.extend_from_slice(b"?=");
        rest = behind;
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn quoted(text: &str) -> String {
        let mut out = Vec::new();
        quoted_printable(text, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn headed(text: &str) -> String {
        let mut out = Vec::new();
        header("Subject", text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn quoted_printable_keeps_to_its_alphabet_and_width() {
        assert_eq!(quoted("a=b ü\t\nplain \r\n\rx"), "a=3Db =C3=BC=09\nplain=20\n=0Dx");
        let long = quoted(&"ü".repeat(100));
        assert!(long.lines().all(|line| line.len() <= 76), "{long}");
        assert_eq!(long.replace("=\n", ""), "=C3=BC".repeat(100));
        assert_eq!(quoted("From a\n>From b\nFrom\n>>c"), "=46rom a\n=3EFrom b\nFrom\n>>c");
        assert_eq!(quoted(&format!("{}From b", "x".repeat(75))), format!("{}=\n=46rom b", "x".repeat(75)));
        let exact = "x".repeat(76);
        assert_eq!(quoted(&exact), exact);
        assert_eq!(quoted(&"x".repeat(77)), format!("{}=\nxx", "x".repeat(75)));
    }

    #[test]
    fn headers_are_folded_encoded_and_cannot_be_forged() {
        assert_eq!(headed("Your order"), "Subject: Your order\n");
        let long = headed(&"word ".repeat(40));
        assert!(long.lines().all(|line| line.len() <= 78 && !line.trim().is_empty()), "{long}");
        assert_eq!(long.replace('\n', ""), format!("Subject: {}", "word ".repeat(40)));
        assert_eq!(headed("Grüße"), "Subject: =?utf-8?B?R3LDvMOfZQ==?=\n");
        assert_eq!(headed("=?utf-8?B?eA==?="), "Subject: =?utf-8?B?PT91dGYtOD9CP2VBPT0/PQ==?=\n");
        let forged = headed("x\r\nBcc: y@z");
        assert_eq!(forged.lines().count(), 1, "{forged}");
        let umlauts = headed(&"ü".repeat(200));
        assert!(umlauts.lines().all(|line| line.len() <= 76), "{umlauts}");
        let word = headed(&"x".repeat(2_000));
        assert!(word.lines().all(|line| line.len() <= 76), "{word}");
    }

    #[test]
    fn plain_is_what_needs_no_encoding() {
        assert!(is_plain("a\nb\tc\n"));
        for text in ["ü", "a\rb", "a\0b", "--=_x", "\u{7f}", &"x".repeat(999)] {
            assert!(!is_plain(text), "{text:?}");
        }
    }
}
