//! A batch in XML: `<events><event><orderId/><status/><eventTs/></event></events>`.
//!
//! Read in one pass from memory, without recursion and without a tree. Names are compared without their prefix, whatever namespace that
//! stands for; attributes say nothing; elements of other names are passed over with all that is in them, as a JSON reader passes over
//! fields it does not know. Texts of fields are taken without the blanks around them. A document type declaration is refused whatever is
//! in it, so there are no entities but the five of XML itself, and nothing is ever fetched or expanded.

use std::borrow::Cow;

use ordermill_core::limits::{TRACKING_REPORTS_MAX, XML_ATTRIBUTES_MAX, XML_DEPTH_MAX, XML_TAG_BYTES_MAX};
use quick_xml::Reader;
use quick_xml::events::{BytesDecl, BytesRef, BytesStart, Event};

use crate::error_code::MALFORMED_XML;
use crate::problem::Problem;
use crate::tracking::draft::{Batch, Dialect, Draft, Field};

/// The outermost element.
const ROOT: &str = "events";

/// Characters of the parser's own words that are repeated: they may hold a name as long as the body.
const MESSAGE_CHARS_MAX: usize = 200;

/// Reads a batch, to the end of the body: no half of a document is taken.
///
/// # Errors
/// `malformed_xml` with its place, or the dialect's problem for XML of another shape.
pub(crate) fn read<'a>(bytes: &'a [u8], dialect: &Dialect) -> Result<Batch<'a>, Problem> {
    let mut reader = Reader::from_str(decode(bytes)?);
    reader.config_mut().enable_all_checks(true);
    reader.config_mut().expand_empty_elements = true;
    let mut walk = Walk::new(dialect);
    loop {
        let begin = reader.buffer_position();
        let event = reader.read_event().map_err(|error| malformed(reader.error_position(), &error.to_string()))?;
        if matches!(event, Event::Eof) {
            return walk.finish().map_err(|refusal| refusal.into_problem(begin, dialect));
        }
        walk.step(event).map_err(|refusal| refusal.into_problem(begin, dialect))?;
    }
}

/// Only UTF-8 is taken. Another encoding is told by its first bytes, or by its name in the declaration, which is read before the rest
/// is found not to be UTF-8.
fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if let [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, ..] | [_, 0, ..] = bytes {
        return Err(malformed(0, "the encoding must be UTF-8, is UTF-16 or UTF-32"));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let head = std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default();
        let declared = match Reader::from_str(head).read_event() {
            Ok(Event::Decl(declaration)) => check_declaration(&declaration).err(),
            _ => None,
        };
        let at = error.valid_up_to() as u64;
        malformed(at, declared.as_deref().unwrap_or("the encoding must be UTF-8, and this is not"))
    })
}

fn check_declaration(declaration: &BytesDecl<'_>) -> Result<(), String> {
    declaration.xml_version().map_err(|error| error.to_string())?;
    match declaration.encoding() {
        None => Ok(()),
        Some(Ok(name)) if name.eq_ignore_ascii_case("utf-8") => Ok(()),
        Some(Ok(name)) => Err(format!("the encoding must be UTF-8, is declared as {name}")),
        Some(Err(error)) => Err(error.to_string()),
    }
}

fn malformed(at: u64, message: &str) -> Problem {
    let cut: String = message.chars().take(MESSAGE_CHARS_MAX).collect();
    Problem::new(&MALFORMED_XML, format!("at byte {at}: {cut}"))
}

/// Why a document is not taken.
enum Refusal {
    /// It is not well-formed, or holds what is never taken.
    Malformed(Cow<'static, str>),
    /// It has another shape.
    Shape {
        /// Where.
        field: String,
        /// What is wrong there.
        message: Cow<'static, str>,
    },
}

impl Refusal {
    fn into_problem(self, at: u64, dialect: &Dialect) -> Problem {
        match self {
            Self::Malformed(message) => malformed(at, &message),
            Self::Shape { field, message } => Problem::field(dialect.invalid, field, message),
        }
    }
}

impl From<&'static str> for Refusal {
    fn from(message: &'static str) -> Self {
        Self::Malformed(message.into())
    }
}

/// Which field of a report.
#[derive(Debug, Clone, Copy)]
enum Name {
    Id,
    Status,
    SeenAt,
}

/// Where in the document.
#[derive(Debug, Clone, Copy)]
enum Place {
    Before,
    Root,
    Report,
    Field(Name),
    After,
}

/// What was read so far.
struct Walk<'a, 'd> {
    dialect: &'d Dialect,
    place: Place,
    is_first: bool,
    depth: usize,
    /// The depth of an element that is passed over, while within it.
    skipping: Option<usize>,
    draft: Draft<'a>,
    text: Cow<'a, str>,
    found: usize,
    kept: Vec<Draft<'a>>,
}

impl<'a, 'd> Walk<'a, 'd> {
    fn new(dialect: &'d Dialect) -> Self {
        Self {
            dialect,
            place: Place::Before,
            is_first: true,
            depth: 0,
            skipping: None,
            draft: Draft::default(),
            text: Cow::Borrowed(""),
            found: 0,
            kept: Vec::new(),
        }
    }

    fn finish(self) -> Result<Batch<'a>, Refusal> {
        match self.place {
            Place::After => Ok(Batch { found: self.found, kept: self.kept }),
            Place::Before => Err("there is no element".into()),
            Place::Root | Place::Report | Place::Field(_) => Err("the document ends within an element".into()),
        }
    }

    fn step(&mut self, event: Event<'a>) -> Result<(), Refusal> {
        let is_first = std::mem::take(&mut self.is_first);
        match event {
            Event::Decl(declaration) if is_first => {
                check_declaration(&declaration).map_err(|message| Refusal::Malformed(message.into()))
            }
            Event::Decl(_) => Err("the XML declaration stands at the very beginning, or nowhere".into()),
            Event::DocType(_) => Err("a document type declaration (DOCTYPE) is not taken".into()),
            Event::Start(tag) | Event::Empty(tag) => self.open(&tag),
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => self.take_text(text.xml10_content()),
            Event::CData(_) | Event::GeneralRef(_) if self.depth == 0 => {
                Err("text stands outside of every element".into())
            }
            Event::CData(text) => self.take_text(text.xml10_content()),
            Event::GeneralRef(reference) => self.take_text(Cow::Owned(resolve(&reference)?.to_string())),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn open(&mut self, tag: &BytesStart<'a>) -> Result<(), Refusal> {
        check_tag(tag)?;
        self.depth += 1;
        if self.depth > XML_DEPTH_MAX {
            return Err(Refusal::Malformed(format!("it is nested deeper than {XML_DEPTH_MAX} levels").into()));
        }
        if self.skipping.is_some() {
            return Ok(());
        }
        let name = tag.local_name();
        let name = name.into_inner();
        let dialect = self.dialect;
        match self.place {
            Place::Before if name == ROOT => self.place = Place::Root,
            Place::Before => {
                let message = format!("must be an element <{ROOT}>");
                return Err(Refusal::Shape { field: "(body)".to_owned(), message: message.into() });
            }
            Place::After => return Err("there is a second outermost element".into()),
            Place::Root if name == dialect.list => {
                self.draft = Draft::default();
                self.place = Place::Report;
            }
            Place::Report if name == dialect.id => self.open_field(Name::Id)?,
            Place::Report if name == dialect.status => self.open_field(Name::Status)?,
            Place::Report if name == dialect.seen_at => self.open_field(Name::SeenAt)?,
            Place::Root | Place::Report => self.skipping = Some(self.depth),
            Place::Field(_) => return Err(self.shape("must be a text")),
        }
        Ok(())
    }

    fn open_field(&mut self, name: Name) -> Result<(), Refusal> {
        self.place = Place::Field(name);
        self.text = Cow::Borrowed("");
        match self.field(name) {
            Field::Missing => Ok(()),
            _ => Err(self.shape("is given more than once")),
        }
    }

    fn close(&mut self) {
        let depth = self.depth;
        self.depth -= 1;
        if let Some(outermost) = self.skipping {
            self.skipping = (outermost != depth).then_some(outermost);
            return;
        }
        self.place = match self.place {
            Place::Field(name) => {
                let text = match std::mem::take(&mut self.text) {
                    Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
                    Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
                };
                *self.field(name) = Field::Text(text);
                Place::Report
            }
            Place::Report => {
                self.found += 1;
                // What is beyond the longest batch is counted and not kept.
                if self.found <= TRACKING_REPORTS_MAX {
                    self.kept.push(std::mem::take(&mut self.draft));
                }
                Place::Root
            }
            Place::Root | Place::Before | Place::After => Place::After,
        };
    }

    fn take_text(&mut self, text: Cow<'a, str>) -> Result<(), Refusal> {
        if self.skipping.is_some() {
            return Ok(());
        }
        match self.place {
            Place::Field(_) if self.text.is_empty() => self.text = text,
            Place::Field(_) => self.text.to_mut().push_str(&text),
            _ if text.bytes().all(|byte| byte.is_ascii_whitespace()) => {}
            Place::Before | Place::After => return Err("text stands outside of every element".into()),
            Place::Root | Place::Report => return Err(self.shape("must hold elements and no text")),
        }
        Ok(())
    }

    fn field(&mut self, name: Name) -> &mut Field<'a> {
        match name {
            Name::Id => &mut self.draft.id,
            Name::Status => &mut self.draft.status,
            Name::SeenAt => &mut self.draft.seen_at,
        }
    }

    /// Something has not the shape it should have where the walk is now.
    fn shape(&self, message: &'static str) -> Refusal {
        let Dialect { list, id, status, seen_at, .. } = self.dialect;
        let index = self.found;
        let field = match self.place {
            Place::Field(Name::Id) => format!("{list}[{index}].{id}"),
            Place::Field(Name::Status) => format!("{list}[{index}].{status}"),
            Place::Field(Name::SeenAt) => format!("{list}[{index}].{seen_at}"),
            Place::Report => format!("{list}[{index}]"),
            Place::Before | Place::Root | Place::After => ROOT.to_owned(),
        };
        Refusal::Shape { field, message: message.into() }
    }
}

/// Attributes mean nothing here; they are looked at only so far that what is no XML is not taken for some.
fn check_tag(tag: &BytesStart<'_>) -> Result<(), Refusal> {
    if tag.len() > XML_TAG_BYTES_MAX {
        return Err(Refusal::Malformed(format!("a tag may have at most {XML_TAG_BYTES_MAX} bytes").into()));
    }
    if tag.name().as_ref().is_empty() {
        return Err("a tag has no name".into());
    }
    for (index, attribute) in tag.attributes().enumerate() {
        attribute.map_err(|error| Refusal::Malformed(error.to_string().into()))?;
        if index >= XML_ATTRIBUTES_MAX {
            let message = format!("an element may have at most {XML_ATTRIBUTES_MAX} attributes");
            return Err(Refusal::Malformed(message.into()));
        }
    }
    Ok(())
}

/// The character a reference stands for. There are no others than these, as there is no document type declaration.
fn resolve(reference: &BytesRef<'_>) -> Result<char, Refusal> {
    if reference.is_char_ref() {
        let character = reference.resolve_char_ref().map_err(|error| Refusal::Malformed(error.to_string().into()))?;
        return character.ok_or_else(|| "a reference stands for no character".into());
    }
    match &**reference {
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "amp" => Ok('&'),
        "apos" => Ok('\''),
        "quot" => Ok('"'),
        _ => Err("only the five entities of XML itself and references to characters are known here".into()),
    }
}
