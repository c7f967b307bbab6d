//! How values are written into columns.
