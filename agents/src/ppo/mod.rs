//! PPO, proximal policy optimisation, of Schulman et al. (2017), arXiv 1707.06347. Its trainer is
//! [`OnPolicy`](crate::on_policy::OnPolicy).

mod config;

pub use config::PpoConfig;
