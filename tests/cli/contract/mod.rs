//! The output contract: every command on a terminal, in a pipe, as JSON and with chosen fields, whatever files are called
//! and however the command ends.

mod cases;
pub mod cells;
mod platforms;
mod schema;
mod world;

use cells::check;
use world::World;

#[test]
fn no_rows() {
    check(&World::none(), cases::NONE);
}

#[test]
fn one_row() {
    check(&World::one(), cases::ONE);
}

#[test]
fn many_rows() {
    check(&World::many(), cases::MANY);
}

#[test]
fn hostile_names() {
    check(&World::hostile(), cases::HOSTILE);
}

#[test]
fn failures() {
    check(&World::one(), cases::FAILING);
}

#[test]
fn about_itself() {
    check(&World::settings(), cases::ITSELF);
}
