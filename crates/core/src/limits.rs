//! Every limit of the platform in one place, each with its reason.

/// Lines of one order. Real baskets reach 161 lines; three times that leaves room, and one order stays one small commit.
pub const ORDER_LINES_MAX: usize = 500;

/// Units in one line, and of one product in one order. A million units is a mistake or an attack, not a basket.
pub const QUANTITY_MAX: i64 = 1_000_000;

/// Characters of an id given by a caller (product, customer, order reference, idempotency key, correlation id).
/// UUIDs, ULIDs and shop numbers fit several times over, and index pages stay dense.
pub const ID_CHARS_MAX: usize = 128;

/// Characters of an e-mail address (RFC 5321: a path of 256 octets with its brackets).
pub const EMAIL_CHARS_MAX: usize = 254;

/// Characters of a reason, a note or a name given by a person.
pub const TEXT_CHARS_MAX: usize = 500;

/// Characters of a text of several lines, such as the description of a product.
pub const LONG_TEXT_CHARS_MAX: usize = 5_000;

/// Bytes of a W3C trace context. Version 00 has 55; later ones may add a little.
pub const TRACEPARENT_BYTES_MAX: usize = 128;

/// Bytes of the JSON text of a shipping address or of an order's metadata, each. Keeps an `order.placed` event of 500 lines
/// with product ids of 128 ASCII letters below [`EVENT_BYTES_MAX`]; longer ids in bytes are checked when an order is taken in.
pub const FREE_JSON_BYTES_MAX: usize = 8 * 1024;

/// Bytes of one event's data. SNS and SQS take 256 KiB; half of it leaves room for the envelope and for batching.
pub const EVENT_BYTES_MAX: usize = 128 * 1024;

/// Events of one order from which on callers can ask nothing more of it. A hundred times what a long life needs; a caller that loops
/// is stopped here. Results and deadlines are still taken.
pub const ORDER_EVENTS_MAX: u32 = 10_000;

/// Refunds of one order that may be asked for in its life.
pub const ORDER_REFUNDS_MAX: usize = 100;

/// Units of a product that may be in stock: sums of it over all rows stay far inside 64 bits.
pub const STOCK_UNITS_MAX: i64 = 1_000_000_000_000;

/// Minor units of an amount of money (one line, one total): ten trillion dollars, far inside 64 bits even when summed.
pub const AMOUNT_MINOR_MAX: i64 = 1_000_000_000_000_000;

/// Inputs in one call to a ledger. Larger work is cut into such calls, so that one caller never holds the writer for long.
pub const SUBMIT_INPUTS_MAX: usize = 1_024;

/// Bytes of the body of a request that places one order, or sets one product.
pub const BODY_BYTES_MAX: usize = 256 * 1024;

/// Bytes of one line of an NDJSON body; the whole body may be of any length, as it is read as a stream.
pub const NDJSON_LINE_BYTES_MAX: usize = 256 * 1024;

/// Depth of nesting in JSON from outside. serde_json refuses to go deeper than 128 by itself; data here has no need of more than 16.
pub const JSON_DEPTH_MAX: usize = 16;

/// Depth of nesting in XML from outside, as in JSON.
pub const XML_DEPTH_MAX: usize = 16;

/// Bytes of one tag in XML from outside, with its attributes. They say nothing here, and a few namespaces fit many times over.
pub const XML_TAG_BYTES_MAX: usize = 4 * 1024;

/// Attributes of one element in XML from outside. Finding a doubled one costs the square of their number.
pub const XML_ATTRIBUTES_MAX: usize = 32;

/// Entries in one page of a list.
pub const PAGE_ENTRIES_MAX: usize = 500;

/// Entries in one page of a list when the caller names no number.
pub const PAGE_ENTRIES_DEFAULT: usize = 50;

/// Reports of parcels in one request. Carriers send their backlog in files of a few thousand; a larger one is cut by the sender.
pub const TRACKING_REPORTS_MAX: usize = 10_000;

/// Bytes of a request with reports of parcels: the largest number of them with ids of full length, in XML.
pub const TRACKING_BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Events of one parcel from which on its reports are refused and not kept. A hundred times what a long way needs.
pub const PARCEL_EVENTS_MAX: u32 = 1_000;

/// Refused reports of one parcel that are kept. A tenth of its events: they never use up what the parcel's way needs.
pub const PARCEL_REFUSALS_MAX: u32 = 100;

/// Bytes of the JSON text of one record's data: with its envelope it stays below [`EVENT_BYTES_MAX`].
pub const RECORD_BYTES_MAX: usize = EVENT_BYTES_MAX - 4 * 1024;
