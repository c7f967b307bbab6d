//! The mail file: what a crash leaves behind, what is no crash, and what other programs read in it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use ordermill_core::mail::MailKind;
use ordermill_embedded::mail::{BATCH_MAILS_MAX, Mbox, OpenError, scan_mbox};
use ordermill_ports::Mailer;
use ordermill_ports::conformance::mailer::mail;
use ordermill_ports::mailer::{Mail, MailError};
use tempfile::TempDir;

const FROM: &str = "Die Mühle <orders@example.com>";

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("mail.mbox")
    }

    fn open(&self, committed_end: Option<u64>) -> Result<Mbox, OpenError> {
        Mbox::open(&self.path(), committed_end, FROM)
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }

    fn count(&self, committed_end: Option<u64>) -> usize {
        let mut count = 0;
        scan_mbox(&self.path(), committed_end, &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        count
    }
}

async fn send(mbox: &Mbox, count: usize) -> u64 {
    let mails: Vec<Mail> = (0..count).map(|_| mail("household-1@example.com", MailKind::Confirmed)).collect();
    mbox.deliver(&mails).await.pop().unwrap().unwrap().mailbox_end.unwrap()
}

#[tokio::test]
async fn a_tail_torn_anywhere_is_cut_off() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    let committed = send(&mbox, 1).await;
    let full = send(&mbox, 2).await;
    drop(mbox);
    let (bytes, step) = (place.bytes(), 37);
    assert_eq!(bytes.len() as u64, full);
    for end in (committed..=full).step_by(step).chain([full - 1, full, committed + 1]) {
        fs::write(place.path(), &bytes[..end as usize]).unwrap();
        drop(place.open(Some(committed)).unwrap());
        assert_eq!(place.bytes(), bytes[..committed as usize], "torn at {end}");
    }
}

#[tokio::test]
async fn blocks_that_never_reached_the_disk_are_cut_off() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    let committed = send(&mbox, 1).await as usize;
    send(&mbox, 3).await;
    drop(mbox);
    let bytes = place.bytes();
    for hole in [committed..bytes.len(), committed..committed + 40, committed + 500..committed + 2_000] {
        let mut holed = bytes.clone();
        holed[hole].fill(0);
        fs::write(place.path(), &holed).unwrap();
        drop(place.open(Some(committed as u64)).unwrap());
        assert_eq!(place.bytes(), bytes[..committed]);
    }
}

#[tokio::test]
async fn a_tail_of_more_than_one_batch_stops_the_start() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    let committed = send(&mbox, 1).await;
    send(&mbox, BATCH_MAILS_MAX).await;
    drop(mbox);
    drop(place.open(Some(committed)).expect("a whole batch may be cut off"));

    let mbox = place.open(Some(committed)).unwrap();
    send(&mbox, BATCH_MAILS_MAX).await;
    send(&mbox, 1).await;
    drop(mbox);
    let bytes = place.bytes();
    let error = place.open(Some(committed)).unwrap_err();
    assert!(matches!(&error, OpenError::ForeignTail { problem, .. } if problem.contains("512")), "{error}");
    assert_eq!(place.bytes(), bytes);
}

#[tokio::test]
async fn mail_of_others_is_never_cut_off() {
    let place = Place::new();
    let letter = "From a@b Thu Jan  1 00:00:00 1970\nSubject: dear\n\nhello\n\n";
    for text in [format!("{letter}{letter}"), "notes\n".to_owned()] {
        fs::write(place.path(), &text).unwrap();
        assert!(matches!(place.open(None), Err(OpenError::ForeignTail { committed_end: 0, .. })), "{text:?}");
        assert_eq!(place.bytes(), text.as_bytes());
    }
}

#[tokio::test]
async fn a_file_that_lost_committed_mails_stops_the_start() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    let end = send(&mbox, 1).await;
    drop(mbox);
    let error = place.open(Some(end + 1)).unwrap_err();
    assert!(
        matches!(error, OpenError::TooShort { length, committed_end, .. } if length == end && committed_end == end + 1)
    );
    assert!(scan_mbox(&place.path(), Some(end + 1), &mut |_| Ok(())).is_err());
    fs::remove_file(place.path()).unwrap();
    assert!(matches!(place.open(Some(end)), Err(OpenError::TooShort { length: 0, .. })));
}

#[tokio::test]
async fn one_writer_at_a_time_and_a_sender_that_is_one() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    assert!(matches!(place.open(None), Err(OpenError::InUse { .. })));
    drop(mbox);
    for bad in ["", "nobody", "a@b\nBcc: c@d", "x\ny <a@b>", "\"a\" b\" <a@b>"] {
        assert!(matches!(Mbox::open(&place.path(), None, bad), Err(OpenError::BadSender)), "{bad:?}");
    }
}

#[tokio::test]
async fn a_roll_back_reaches_no_further_than_the_last_batch() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    let first = send(&mbox, 1).await;
    let second = send(&mbox, 1).await;
    assert!(matches!(mbox.roll_back(None).await, Err(MailError::Unavailable(_))), "the first is committed");
    assert!(mbox.roll_back(Some(second + 1)).await.is_err());
    mbox.roll_back(Some(first)).await.unwrap();
    assert_eq!(place.bytes().len() as u64, first);
    mbox.roll_back(Some(first)).await.expect("once more does no harm");
    assert_eq!(send(&mbox, 1).await, second);
}

#[tokio::test]
async fn a_scan_stops_at_the_committed_end() {
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    let end = send(&mbox, 2).await;
    send(&mbox, 3).await;
    assert_eq!((place.count(Some(end)), place.count(None), place.count(Some(0))), (2, 5, 0));
    let missing = place.0.path().join("none");
    scan_mbox(&missing, None, &mut |_| panic!("there is nothing")).unwrap();
    assert!(scan_mbox(&missing, Some(1), &mut |_| Ok(())).is_err());
}

#[tokio::test]
async fn a_scan_bears_with_odd_mails() {
    let place = Place::new();
    let text = "From a b\nMessage-ID:\n <x@y>\nX-Order-Id: nonsense\nno header\n\nbody\n\nFrom c\n\nFrom d\nX-Ordermill-Kind: \
                shipped/2\r\n\r\nMessage-ID: <not@this>\n\nFrom";
    fs::write(place.path(), text).unwrap();
    let mut seen = Vec::new();
    scan_mbox(&place.path(), None, &mut |mail| {
        seen.push((mail.message_id, mail.order_id, mail.kind, mail.end));
        Ok(())
    })
    .unwrap();
    let ends: Vec<_> = seen.iter().map(|mail| mail.3.unwrap() as usize).collect();
    assert_eq!(ends, [text.find("From c").unwrap(), text.find("From d").unwrap(), text.len()]);
    assert_eq!((seen[0].0.as_str(), seen[0].1), ("<x@y>", None));
    assert_eq!((seen[2].0.as_str(), seen[2].2), ("", Some(MailKind::Shipped)));
}

/// Prints each mail as Python's own parser has it, one JSON text a line, with the quoting of the format taken off.
const READER: &str = r#"
import email, email.policy, json, mailbox, re, sys
box = mailbox.mbox(sys.argv[1], create=False, factory=lambda f: email.message_from_binary_file(f, policy=email.policy.default))
for mail in box:
    if mail.defects: sys.exit(repr(mail.defects))
    def part(kind):
        found = mail.get_body(preferencelist=(kind,))
        if found.defects: sys.exit(repr(found.defects))
        text = found.get_content()
        plain = found["Content-Transfer-Encoding"] == "7bit"
        return re.sub(r"(?m)^>(>*From )", r"\1", text) if plain else text
    print(json.dumps([mail["Subject"], mail["From"], mail["To"], mail["Message-ID"], mail["X-Order-Id"], mail["X-Ordermill-Kind"],
                      mail["Date"].datetime.timestamp(), part("plain"), part("html")]))
"#;

/// Another program's parser finds every mail whole; the suites of the port read the same kinds of mail with our own scanner.
#[tokio::test]
async fn python_reads_what_was_sent() {
    let quoting =
        "From the start\n\nFrom a blank line\n>From quoted\n>>From twice\n From not\nFrom: no\n\nFrom\nend \n";
    let bodies = [
        quoting.to_owned(),
        format!("ü\n{quoting}"),
        format!("{}\n", "x".repeat(2_000)),
        format!("Grüße, 👋🏽 {}\n.\n--=_x--\n", "ß".repeat(300)),
        String::new(),
        "\n\nno line end".to_owned(),
    ];
    let subjects = [
        "Your order",
        "Grüße aus der Mühle: Ihre Bestellung ist unterwegs, und mehr als das passt in keine Zeile",
        "=?x?=",
    ];
    let mut mails = Vec::new();
    for (number, text) in bodies.iter().enumerate() {
        let mut mail = mail("household-1@example.com", MailKind::ALL[number]);
        mail.subject = subjects[number % 3].to_owned();
        mail.html = format!("<p>{text}</p>\n");
        mail.text.clone_from(text);
        mails.push(mail);
    }
    let place = Place::new();
    let mbox = place.open(None).unwrap();
    assert!(mbox.deliver(&mails).await.iter().all(Result::is_ok));
    assert!(place.bytes().is_ascii(), "any mail program can read it");

    let output = Command::new("python3").args(["-c", READER]).arg(place.path()).output();
    let output = output.expect("python3 is needed; `cargo xtask test` installs it or says how");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let read: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read.len(), mails.len());
    for (read, mail) in read.iter().zip(&mails) {
        let kind = format!("{}/1", mail.kind.as_str());
        let head = [&mail.subject, FROM, mail.to.as_str(), &mail.message_id, &mail.order_id.to_string(), &kind];
        assert_eq!(read.as_array().unwrap()[..6], head);
        assert_eq!(read[6].as_f64(), Some(mail.at.as_second() as f64));
        assert_eq!((read[7].as_str(), read[8].as_str()), (Some(&*mail.text), Some(&*mail.html)));
    }
}
