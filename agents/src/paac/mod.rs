//! PAAC, the synchronous batched actor-critic of Clemente, Castejón and Chandra (2017), arXiv 1705.04862. Its trainer
//! is [`OnPolicy`](crate::on_policy::OnPolicy).

mod config;

pub use config::PaacConfig;
