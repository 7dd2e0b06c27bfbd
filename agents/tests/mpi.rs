//! Training by several processes: this program starts itself again under `mpirun`.
//!
//! ```console
//! $ cargo test -p coinop-agents --features mpi --test mpi
//! ```

#![expect(
    clippy::unwrap_used,
    reason = "an unwrap in a test is an assertion, also in its helpers"
)]

use std::process::Command;

use coinop_agents::Trainer;
use coinop_agents::algorithm::RunSettings;
use coinop_agents::distributed::mpi::Mpi;
use coinop_agents::distributed::{Group, Ranks, is_started};
use coinop_agents::on_policy::{OnPolicy, OnPolicyConfig};
use coinop_agents::ppo::PpoConfig;
use coinop_envs::classic::CartPole;
use coinop_envs::vec_env::Serial;

fn main() {
    if is_started() {
        return be_a_rank();
    }
    for (ranks, more) in [(1, "ordered"), (3, "ordered"), (3, "fast")] {
        let output = Command::new("mpirun")
            .args(["--bind-to", "none", "-n", &ranks.to_string()])
            .arg(std::env::current_exe().unwrap())
            .arg(more)
            // What containers and few cores need.
            .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
            .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")
            .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
            .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
            .env("OMP_NUM_THREADS", "1")
            .output()
            .unwrap();
        let (printed, said) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{ranks} ranks, {more}: {said}");
        let mut lines: Vec<&str> = printed.lines().collect();
        lines.sort_unstable();
        let expected: Vec<String> = (0..ranks)
            .map(|rank| format!("rank {rank} of {ranks} is done"))
            .collect();
        assert_eq!(lines, expected, "{more}: {said}");
    }
    println!("test ranks_of_mpi_learn_together ... ok");
}

fn be_a_rank() {
    let fast = std::env::args().any(|arg| arg == "fast");
    let group = Mpi::start(fast).unwrap();
    assert!(Mpi::start(fast).is_err(), "once");
    let (rank, size) = (group.rank(), group.size());
    // Of different lengths, and none.
    let bytes: Vec<u8> = (0..rank as u8 * 3).collect();
    let all = group.gather(&bytes).unwrap();
    assert_eq!(all.len(), size);
    for (other, bytes) in all.iter().enumerate() {
        assert_eq!(*bytes, (0..other as u8 * 3).collect::<Vec<_>>());
    }
    assert_eq!(group.gather(&[]).unwrap(), vec![Vec::<u8>::new(); size]);
    let mut values = [rank as f32, 4.0];
    group.mean(&mut values).unwrap();
    assert_eq!(values, [(size - 1) as f32 / 2.0, 4.0]);

    let said = if rank == 0 { vec![7u8; 5] } else { Vec::new() };
    assert_eq!(group.broadcast(&said).unwrap(), [7; 5]);

    let ranks = Ranks::new(group);
    let config = OnPolicyConfig {
        num_envs: 4,
        rollout_steps: 16,
        minibatches: 2,
        ..OnPolicyConfig::from(&PpoConfig::classic())
    };
    let mut run = RunSettings::new(10_000, 1);
    run.ranks = ranks.clone();
    let mut trainer = OnPolicy::new(&config, Box::new(Serial::new(vec![CartPole::v1(); 4])), &run).unwrap();
    let mut frames = 0;
    for _ in 0..5 {
        frames = trainer.step().unwrap().frames;
    }
    assert_eq!(frames as usize, 5 * 16 * 4 * size);
    let mut saved = coinop_agents::Section::default();
    coinop_agents::Checkpoint::save(&trainer, &mut saved).unwrap();
    let network = saved.section("learner").unwrap().section("network").unwrap();
    let weights = network.tensor("1_hidden_weight").unwrap();
    ranks.check_equal("the first layer", weights).unwrap();
    println!("rank {rank} of {size} is done");
}
