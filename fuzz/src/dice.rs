//! Choices that depend on the input alone, so that a find can be run again and inputs are plain messages.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A row of choices.
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The choices for this input.
    pub fn of(input: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        input.hash(&mut hasher);
        Self(hasher.finish())
    }

    /// The next choice: a number below `sides`, which is not 0.
    pub fn roll(&mut self, sides: usize) -> usize {
        // One step of a linear congruential generator; its high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }

    /// Whether the next coin shows heads.
    pub fn flip(&mut self) -> bool {
        self.roll(2) == 0
    }

    /// One of `choices`.
    pub fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.roll(choices.len())]
    }

    /// `input` in pieces of up to `longest` bytes; some are empty.
    pub fn cut<'a>(&mut self, mut input: &'a [u8], longest: usize) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !input.is_empty() {
            let (piece, rest) = input.split_at(self.roll(longest + 1).min(input.len()));
            pieces.push(piece);
            input = rest;
        }
        pieces
    }
}
