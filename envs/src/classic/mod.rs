//! Classic control: small physics, features instead of pixels. Solved in seconds, so this is where a learner is tried first.

mod cart_pole;

pub use cart_pole::CartPole;
