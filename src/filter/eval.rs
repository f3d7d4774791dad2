//! Expression and file to yes or no.
use super::Expr;
use crate::model::File;
pub(super) fn matches(_expr: &Expr, _file: &File) -> bool {
    todo!()
}
