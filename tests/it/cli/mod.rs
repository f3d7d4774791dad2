//! The program from the outside: every test runs the binary in a sandbox and checks status, stdout and stderr.

mod completions;
mod contract;
mod damage;
mod errors;
mod examples;
mod exit_codes;
mod first_steps;
mod get;
mod help;
mod info;
mod interrupt;
mod json;
mod link;
mod ls;
mod memory;
mod meta;
mod names;
mod near;
mod niceties;
mod providers;
mod rm;
mod startup;
mod tab;
mod targets;
mod terminal;
mod upload;
