//! The store, as one process and as several see it, and as a killed one leaves it.

mod changes;
mod crash;
mod damage;
mod files;
mod listing;
mod processes;
mod support;
