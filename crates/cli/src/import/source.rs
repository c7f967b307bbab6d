//! Reads the lines of a file, plain or compressed, on a thread of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use ordermill_core::limits::NDJSON_LINE_BYTES_MAX;
use tokio::sync::mpsc;

/// Lines handed over at once, and such batches that may wait: enough to keep the sender busy, little enough to be no memory.
const BATCH_LINES_MAX: usize = 256;
const BATCHES_WAITING_MAX: usize = 8;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// U+FEFF, as spreadsheets and shells put it before a text in UTF-8. It says nothing.
const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// What is imported.
#[derive(Debug, Clone)]
pub enum Input {
    /// Standard input.
    Stdin,
    /// This file.
    File(PathBuf),
    /// What the program carries itself.
    Embedded(&'static [u8]),
}

impl Input {
    /// The input that a command line names: `-` is standard input.
    pub fn named(name: &Path) -> Self {
        if name == Path::new("-") { Self::Stdin } else { Self::File(name.to_owned()) }
    }

    /// Where refused lines go by default.
    pub fn refused_path(&self) -> PathBuf {
        match self {
            Self::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(".refused.ndjson");
                name.into()
            }
            Self::Stdin | Self::Embedded(_) => "stdin.refused.ndjson".into(),
        }
    }
}

/// One line of the input that is not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Counts all lines of the input, from 1.
    pub number: u64,
    /// Its content without the line end; `None` when it is longer than any line may be.
    pub text: Option<Bytes>,
}

/// The lines of an input as they are read.
pub struct Source {
    /// Batches of lines; an error is the last.
    pub batches: mpsc::Receiver<io::Result<Vec<Line>>>,
    /// How far it is read.
    pub meter: Arc<Meter>,
}

/// How far an input is read.
#[derive(Debug, Default)]
pub struct Meter {
    bytes: AtomicU64,
    lines: AtomicU64,
    length: Option<u64>,
}

impl Meter {
    /// How much of the input is dealt with, 0 to 1, when that many of its lines are; `None` where its length is not known. The
    /// reader is ahead, so what it has read counts only as far as its lines are done.
    pub fn share(&self, lines_done: u64) -> Option<f64> {
        let length = self.length.filter(|length| *length > 0)?;
        let lines = self.lines.load(Ordering::Relaxed).max(lines_done).max(1);
        let read = self.bytes.load(Ordering::Relaxed) as f64 / length as f64;
        Some(read * lines_done as f64 / lines as f64)
    }
}

impl Source {
    /// Opens an input and begins to read it.
    pub fn open(input: &Input) -> io::Result<Self> {
        let (reader, length): (Box<dyn Read + Send>, _) = match input {
            Input::Stdin => (Box::new(io::stdin()), None),
            Input::File(path) => {
                let file = File::open(path)?;
                let metadata = file.metadata()?;
                if metadata.is_dir() {
                    return Err(io::ErrorKind::IsADirectory.into());
                }
                // A pipe has no length.
                let length = Some(metadata.len()).filter(|_| metadata.is_file());
                (Box::new(file), length)
            }
            Input::Embedded(bytes) => (Box::new(*bytes), Some(bytes.len() as u64)),
        };
        let (sender, batches) = mpsc::channel(BATCHES_WAITING_MAX);
        let meter = Arc::new(Meter { length, ..Meter::default() });
        let counted = BufReader::with_capacity(64 * 1024, Counted { inner: reader, meter: Arc::clone(&meter) });
        let output = Output { sender, meter: Arc::clone(&meter) };
        std::thread::Builder::new().name("import".to_owned()).spawn(move || read_all(counted, &output))?;
        Ok(Self { batches, meter })
    }
}

/// Counts what is read of the file itself, before it is unpacked.
struct Counted<R> {
    inner: R,
    meter: Arc<Meter>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.meter.bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Where lines go. Once the receiver is gone the import has ended, and nobody is left to tell.
struct Output {
    sender: mpsc::Sender<io::Result<Vec<Line>>>,
    meter: Arc<Meter>,
}

impl Output {
    /// Whether anybody still listens.
    fn send(&self, batch: io::Result<Vec<Line>>) -> bool {
        let lines = batch.as_ref().map_or(0, Vec::len);
        self.meter.lines.fetch_add(lines as u64, Ordering::Relaxed);
        self.sender.blocking_send(batch).is_ok()
    }
}

fn read_all(mut reader: impl BufRead + Send, output: &Output) {
    let is_gzip = match reader.fill_buf() {
        Ok(head) => head.starts_with(&GZIP_MAGIC),
        Err(error) => {
            output.send(Err(error));
            return;
        }
    };
    if is_gzip {
        read_lines(BufReader::with_capacity(256 * 1024, MultiGzDecoder::new(reader)), output);
    } else {
        read_lines(BufReader::with_capacity(256 * 1024, reader), output);
    }
}

fn read_lines<R: Read>(mut reader: BufReader<R>, output: &Output) {
    let mut batch = Vec::new();
    let mut number = 0;
    loop {
        match read_line(&mut reader) {
            Ok(None) => break,
            Ok(Some(mut text)) => {
                number += 1;
                if number == 1 && text.as_ref().is_some_and(|text| text.starts_with(UTF8_MARK)) {
                    text = text.map(|text| text.slice(UTF8_MARK.len()..));
                }
                let is_blank = text.as_ref().is_some_and(|text| text.trim_ascii().is_empty());
                if !is_blank {
                    batch.push(Line { number, text });
                }
            }
            Err(error) => {
                // What was read before the error is whole lines, and they count.
                output.send(Ok(std::mem::take(&mut batch)));
                output.send(Err(error));
                return;
            }
        }
        // Standard input may stand still: what is there goes at once.
        let is_due = batch.len() >= BATCH_LINES_MAX || !reader.buffer().contains(&b'\n');
        if is_due && !batch.is_empty() && !output.send(Ok(std::mem::take(&mut batch))) {
            return;
        }
    }
    if !batch.is_empty() {
        output.send(Ok(batch));
    }
}

/// The next line; its inner value is `None` when it is too long. `None` at the end.
fn read_line(reader: &mut impl BufRead) -> io::Result<Option<Option<Bytes>>> {
    let mut line = Vec::new();
    let limit = NDJSON_LINE_BYTES_MAX as u64 + 1;
    if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let is_whole = line.last() == Some(&b'\n');
    if is_whole {
        line.pop();
    } else if line.len() as u64 == limit {
        reader.skip_until(b'\n')?;
        return Ok(Some(None));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(Some(Some(line.into())))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).expect("memory takes it");
        encoder.finish().expect("memory takes it")
    }

    fn lines(content: &[u8]) -> (Vec<(u64, Option<usize>)>, Option<io::ErrorKind>) {
        let dir = tempfile::tempdir().expect("a directory can be made");
        let path = dir.path().join("orders");
        std::fs::write(&path, content).expect("the file can be written");
        let mut source = Source::open(&Input::named(&path)).expect("it is there");
        let (mut seen, mut failed) = (Vec::new(), None);
        while let Some(batch) = source.batches.blocking_recv() {
            match batch {
                Ok(batch) => seen.extend(batch.into_iter().map(|line| (line.number, line.text.map(|text| text.len())))),
                Err(error) => failed = Some(error.kind()),
            }
        }
        if failed.is_none() && !seen.is_empty() {
            assert_eq!(source.meter.share(seen.len() as u64), Some(1.0));
            assert_eq!(source.meter.share(0), Some(0.0));
        }
        (seen, failed)
    }

    #[test]
    fn plain_and_compressed_lines_are_the_same() {
        let text = b"{}\r\n\n  \n{\"a\":1}\nlast";
        let expected = (vec![(1, Some(2)), (4, Some(7)), (5, Some(4))], None);
        assert_eq!(lines(text), expected);
        assert_eq!(lines(&gzip(text)), expected);
        let marked = [UTF8_MARK, text].concat();
        assert_eq!((lines(&marked), lines(&gzip(&marked))), (expected.clone(), expected));
        // Two compressed files put together are one, as `cat` makes them.
        assert_eq!(lines(&[gzip(b"a\n"), gzip(b"b\n")].concat()), (vec![(1, Some(1)), (2, Some(1))], None));
        assert_eq!(lines(b""), (vec![], None));
    }

    #[test]
    fn many_lines_come_in_order() {
        let text: String = (0..10_000).map(|number| format!("{number}\n")).collect();
        let (seen, failed) = lines(text.as_bytes());
        assert!(failed.is_none() && seen.len() == 10_000);
        assert!(seen.iter().enumerate().all(|(index, (number, _))| *number == index as u64 + 1));
    }

    #[test]
    fn a_line_that_is_too_long_is_marked_and_the_next_is_read() {
        let long = vec![b'x'; NDJSON_LINE_BYTES_MAX + 1];
        let exact = vec![b'x'; NDJSON_LINE_BYTES_MAX];
        let text = [b"a\n", long.as_slice(), b"\n", &exact, b"\nb"].concat();
        let expected = vec![(1, Some(1)), (2, None), (3, Some(NDJSON_LINE_BYTES_MAX)), (4, Some(1))];
        assert_eq!(lines(&text), (expected, None));
    }

    #[test]
    fn a_compressed_file_that_is_cut_off_gives_its_whole_lines_and_an_error() {
        let text: String = (0..50_000).map(|number| format!("{number} {}\n", number * 7919 % 1000)).collect();
        let whole = gzip(text.as_bytes());
        let (seen, failed) = lines(&whole[..whole.len() / 2]);
        assert_eq!(failed, Some(io::ErrorKind::UnexpectedEof));
        assert!(!seen.is_empty() && seen.len() < 50_000);
    }

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        assert!(Source::open(&Input::named(Path::new("/nowhere/orders"))).is_err());
        assert!(Source::open(&Input::named(Path::new("/"))).is_err());
        assert!(matches!(Input::named(Path::new("-")), Input::Stdin));
        let path = Input::named(Path::new("a/orders.ndjson.gz")).refused_path();
        assert_eq!(path, Path::new("a/orders.ndjson.gz.refused.ndjson"));
    }
}
