//! Files as part of a project: `sync`, `du` and `gc`.

mod du;
mod gc;
mod sync;
