//! Configuration: documented defaults, file, environment, flags.
