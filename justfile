# Everyday commands. `just` alone lists them.

_list:
    @just --list --unsorted

# Run the tests whose name contains NAME: `just test upload`
test NAME="":
    cargo test {{ NAME }}

# Run one test binary (it, heavy, docs, architecture), optionally filtered
test-in BINARY NAME="":
    cargo test --test {{ BINARY }} {{ NAME }}

# Format and check the code as CI does
lint:
    cargo fmt
    cargo clippy --all-targets -- -D warnings
    cargo clippy --test heavy -- -D warnings

# Write man pages, completions, schema, tables and pictures again
bless:
    HAUL_TEST_BLESS=1 cargo test --test docs

# Review changed snapshots (needs cargo-insta)
review:
    cargo insta test --review --test it

# Run what takes minutes; FILTER picks a part: faults, hostile, soak, properties
heavy FILTER="":
    cargo test --config 'profile.dev.package.haul.opt-level=1' --test heavy -- --include-ignored --test-threads 1 {{ FILTER }}

# Run everything that CI runs
ci:
    bash .ci/run
