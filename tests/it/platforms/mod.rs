//! What a platform needs of the tests, and the tests that only it has.

mod activeloop;
mod llamacloud;
mod local;
mod metorial;
mod replicate;
mod xai;
