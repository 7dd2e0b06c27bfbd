//! Drawing: which object shows at which pixel, and its colour.
//!
//! A line is six layers, one per object, each a mask of the pixels that the object covers. A word of the line (64 pixels) turns
//! into three masks that say which pixels have the colour of player 0, of player 1 and of the playfield; the rest has that of the
//! background. Only then are there pixels.

use serde::{Deserialize, Serialize};

use super::collisions::Latches;
use super::line_mask::{LineMask, WIDTH, WORDS, edges};

/// Indices of the layers.
pub(super) const PLAYER_0: usize = 0;
pub(super) const MISSILE_0: usize = 1;
pub(super) const PLAYER_1: usize = 2;
pub(super) const MISSILE_1: usize = 3;
pub(super) const BALL: usize = 4;
pub(super) const PLAYFIELD: usize = 5;
/// Number of layers.
pub(super) const LAYERS: usize = 6;

/// The pixels that each object covers in a line, by word and layer.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Line {
    layers: [[u64; LAYERS]; WORDS],
    /// Which pixels more than one object covers. Follows from the layers.
    #[serde(skip)]
    shared: LineMask,
    /// The latches of the whole line's collisions, if they were asked for.
    #[serde(skip)]
    collisions: Option<Latches>,
}

impl Line {
    pub(super) fn set(&mut self, layer: usize, mask: LineMask) {
        for (word, bits) in self.layers.iter_mut().zip(mask) {
            word[layer] = bits;
        }
    }

    /// Finds out what collides. Must follow a change of layers.
    pub(super) fn settle(&mut self) {
        for (shared, layers) in self.shared.iter_mut().zip(&self.layers) {
            let mut covered = 0;
            *shared = 0;
            for layer in layers {
                *shared |= covered & layer;
                covered |= layer;
            }
        }
        self.collisions = None;
    }

    /// Whether something collides somewhere in the line that is not latched yet.
    #[inline]
    pub(super) fn collides_beyond(&mut self, latches: Latches) -> bool {
        self.shared != [0; WORDS] && !latches.contain(self.collisions())
    }

    fn collisions(&mut self) -> Latches {
        *self.collisions.get_or_insert_with(|| {
            let mut latches = Latches::default();
            self.layers.iter().for_each(|word| latches.latch(word));
            latches
        })
    }

    /// Whether something collides in these pixels of a word.
    #[inline]
    pub(super) fn is_shared(&self, word: usize, edges: u64) -> bool {
        self.shared[word] & edges != 0
    }

    /// The words that the pixels `from..to` touch: their numbers, their bits within the span, and the layers there.
    #[inline]
    pub(super) fn span(&self, from: u32, to: u32) -> impl Iterator<Item = (usize, u64, [u64; LAYERS])> {
        (from as usize / 64..=(to as usize - 1) / 64).map(move |word| {
            let edges = edges(word, from, to);
            (word, edges, self.layers[word].map(|layer| layer & edges))
        })
    }
}

/// Colours, as indices of the palette.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Colors {
    pub(super) player: [u8; 2],
    pub(super) playfield: u8,
    pub(super) background: u8,
}

/// Who covers whom.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Priority {
    /// Player 0 and missile 0, player 1 and missile 1, playfield and ball.
    #[default]
    Players,
    /// The same, with the playfield in the players' colours: left half player 0's, right half player 1's. There it ranks like
    /// that player.
    Score,
    /// Playfield and ball before the players.
    Playfield,
}

impl Priority {
    /// Bits 1 and 2 of CTRLPF.
    pub(super) fn from_control(control: u8) -> Self {
        match control >> 1 & 0b11 {
            0 => Priority::Players,
            1 => Priority::Score,
            _ => Priority::Playfield,
        }
    }
}

/// The pixels of each word that lie in the left half of the line.
const LEFT_HALF: [u64; WORDS] = [!0, 0xFFFF, 0];

/// Which pixels of a word have a colour other than the background's.
struct Painted {
    player: [u64; 2],
    playfield: u64,
}

fn paint(layers: &[u64; LAYERS], priority: Priority, left_half: u64) -> Painted {
    let one = layers[PLAYER_0] | layers[MISSILE_0];
    let two = layers[PLAYER_1] | layers[MISSILE_1];
    let (field, ball) = (layers[PLAYFIELD], layers[BALL]);
    match priority {
        Priority::Players => Painted {
            player: [one, two & !one],
            playfield: (field | ball) & !(one | two),
        },
        Priority::Score => {
            let one = one | field & left_half;
            let two = two | field & !left_half;
            Painted {
                player: [one, two & !one],
                playfield: ball & !(one | two),
            }
        }
        Priority::Playfield => {
            let field = field | ball;
            Painted {
                player: [one & !field, two & !(one | field)],
                playfield: field,
            }
        }
    }
}

/// For each byte, eight bytes that are 0xFF where it has a bit, the lowest bit first.
static SPREAD: [u64; 256] = {
    let mut table = [0; 256];
    let mut bits = 0;
    while bits < 256 {
        let mut bit = 0;
        while bit < 8 {
            table[bits] |= ((bits as u64 >> bit & 1) * 0xFF) << (8 * bit);
            bit += 1;
        }
        bits += 1;
    }
    table
};

/// A byte eight times.
const EIGHT: u64 = 0x0101_0101_0101_0101;

/// Draws the pixels of one word (those in `edges`) into a row of the screen.
pub(super) fn draw_word(
    row: &mut [u8; WIDTH as usize],
    word: usize,
    edges: u64,
    layers: &[u64; LAYERS],
    colors: &Colors,
    priority: Priority,
) {
    let painted = paint(layers, priority, LEFT_HALF[word]);
    let background = u64::from(colors.background) * EIGHT;
    // Blending is an exclusive or with the difference of two colours.
    let player = colors.player.map(|color| (u64::from(color) * EIGHT) ^ background);
    let playfield = (u64::from(colors.playfield) * EIGHT) ^ background;
    let any = painted.player[0] | painted.player[1] | painted.playfield;
    let (groups, _) = row.as_chunks_mut::<8>();
    let spread = |mask: u64, group: u32| SPREAD[(mask >> (8 * group)) as u8 as usize];
    let last = (63 - edges.leading_zeros()) / 8;
    for group in edges.trailing_zeros() / 8..=last {
        let pixels = &mut groups[word * 8 + group as usize];
        let mut value = background;
        if (any >> (8 * group)) as u8 != 0 {
            value ^= spread(painted.player[0], group) & player[0]
                ^ spread(painted.player[1], group) & player[1]
                ^ spread(painted.playfield, group) & playfield;
        }
        let inside = spread(edges, group);
        if inside != !0 {
            value = value & inside | u64::from_le_bytes(*pixels) & !inside;
        }
        *pixels = value.to_le_bytes();
    }
}
