//! Writes a picture of each arcade game, twice as large, into a folder:
//!
//! ```console
//! $ cargo run -p coinop-envs --example arcade_pictures -- docs/arcade
//! ```

use std::error::Error;
use std::path::Path;

use coinop_envs::Env;
use coinop_envs::Picture;
use coinop_envs::arcade::{Arcade, ArcadeGame, Bricks, Catch, HEIGHT, Invaders, Snake, WIDTH};
use coinop_envs::rng::derive_seed;
use image::imageops::FilterType;
use image::{RgbImage, imageops};

fn main() -> Result<(), Box<dyn Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".to_owned());
    let folder = Path::new(&folder);
    std::fs::create_dir_all(folder)?;
    picture::<Bricks>(folder, 900)?;
    picture::<Catch>(folder, 150)?;
    picture::<Invaders>(folder, 700)?;
    picture::<Snake>(folder, 800)
}

/// The screen after some frames of random play, with eight frames per action.
fn picture<G: ArcadeGame>(folder: &Path, frames: u64) -> Result<(), Box<dyn Error>> {
    let mut env = Arcade::<G>::new(Picture::Rgb);
    let mut obs = vec![0; env.obs_shape().len()];
    env.reset(Some(4), &mut obs)?;
    for frame in 0..frames {
        let action = derive_seed(4, G::NAME, frame / 8) % G::ACTIONS.len() as u64;
        if env.step(action as u32, &mut obs)?.end.is_over() {
            env.reset(None, &mut obs)?;
        }
    }
    let picture = RgbImage::from_raw(WIDTH as u32, HEIGHT as u32, obs).ok_or("a picture of another size")?;
    let larger = imageops::resize(&picture, 2 * WIDTH as u32, 2 * HEIGHT as u32, FilterType::Nearest);
    Ok(larger.save(folder.join(format!("{}.png", G::NAME)))?)
}
