//! A client of the HTTP interface, as the command line uses it.
