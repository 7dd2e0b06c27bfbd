//! Classic control: small physics, features instead of pixels. Solved in seconds, so this is where a learner is tried first.

mod acrobot;
mod cart_pole;
mod mountain_car;

pub use acrobot::Acrobot;
pub use cart_pole::CartPole;
pub use mountain_car::MountainCar;
