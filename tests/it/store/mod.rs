//! The store in one process, in several processes, and after a kill.

mod changes;
mod crash;
mod damage;
mod files;
mod listing;
mod processes;
mod support;
