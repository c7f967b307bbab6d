//! The roles of Ordermill: what is done outside the ledger, and the auditor.
