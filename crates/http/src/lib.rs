//! The HTTP interface: /v1, health, metrics, OpenAPI.
