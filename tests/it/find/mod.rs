//! Listings, filters, names and patterns on every platform, over sockets.
mod ls;
mod million;
mod minus;
mod names;
mod pushdown;
mod several;
pub mod support;
mod unknown;
mod verbs;
