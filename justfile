# Short names for what is done often. Everything here is a plain cargo command; just is not needed.

# List the names.
default:
    @just --list

# Build, and drive a slice of a real year of orders through.
demo:
    cargo run --release -- demo --exit

# Run the server, with its data in ./data.
serve *ARGS:
    cargo run --release -- serve --data data {{ARGS}}

# Check the tools the tests need, then run every test.
test *ARGS:
    cargo xtask test {{ARGS}}

# Everything a change must pass.
ci:
    .ci/run

# Rewrite the generated files.
generate:
    cargo xtask generate

# Format and lint.
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets

# Look at changed snapshots (needs cargo-insta).
review:
    cargo insta review
