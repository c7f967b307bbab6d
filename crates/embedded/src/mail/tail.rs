//! What lies behind the last committed mail when the file is opened.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};

use super::{BATCH_MAILS_MAX, MAIL_BYTES_MAX};

/// The longest tail one interrupted batch can leave, in bytes.
const TAIL_BYTES_MAX: u64 = (BATCH_MAILS_MAX * MAIL_BYTES_MAX) as u64;

/// A look at the tail, line by line.
#[derive(Debug, Default)]
struct Tail {
    mails: usize,
    in_headers: bool,
    /// The mail being read names its order, as every mail of this program does.
    ours: bool,
    /// The mail being read holds zeros: blocks that had not reached the disk when the power was cut.
    holed: bool,
}

/// Why the bytes from `begin` to `length` cannot be what one interrupted batch of this program left; `None` when they can, and
/// may be cut off. The last mail may be cut short or full of holes, every other one has to be whole and ours.
pub(super) fn foreign(file: &File, begin: u64, length: u64) -> io::Result<Option<String>> {
    let bytes = length - begin;
    if bytes > TAIL_BYTES_MAX {
        return Ok(Some(format!("{bytes} bytes, more than one batch can have")));
    }
    let mut file = file;
    file.seek(SeekFrom::Start(begin))?;
    let mut reader = BufReader::with_capacity(256 * 1024, file.take(bytes));
    let (mut tail, mut line) = (Tail::default(), Vec::new());
    let mut after_empty = true;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        if let Some(problem) = tail.read(&line, after_empty) {
            return Ok(Some(problem));
        }
        after_empty = line == b"\n";
    }
}

impl Tail {
    fn read(&mut self, line: &[u8], after_empty: bool) -> Option<String> {
        let zeros = line.contains(&0);
        let separator = after_empty && line.starts_with(b"From ");
        if separator {
            if self.mails > 0 && !self.ours && !self.holed {
                return Some("a mail of another program".to_owned());
            }
            self.mails += 1;
            if self.mails > BATCH_MAILS_MAX {
                return Some(format!("more than the {BATCH_MAILS_MAX} mails of one batch"));
            }
            (self.in_headers, self.ours, self.holed) = (true, false, false);
        } else if self.mails == 0 && !zeros && !self.holed && !b"From ".starts_with(line) {
            return Some("something that is no mail".to_owned());
        } else if line == b"\n" {
            self.in_headers = false;
        } else if self.in_headers && line.starts_with(b"X-Order-Id: ") {
            self.ours = true;
        }
        self.holed |= zeros;
        None
    }
}
