//! What the fuzz targets compare weir with: simple readers that are slow and plain enough to be believed.

#![forbid(unsafe_code)]

pub mod dice;
pub mod stream;
pub mod tree;

pub use dice::Dice;
pub use tree::Tree;
