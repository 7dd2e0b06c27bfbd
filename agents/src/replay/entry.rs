//! What is stored beside each frame.

/// What followed a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub(super) action: u32,
    pub(super) reward: f32,
    pub(super) discount: f32,
    pub(super) kind: Kind,
    /// Whether it starts an episode.
    pub(super) is_first: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A step that did not end the episode.
    #[default]
    Step,
    /// The last step of an episode. If its discount is not 0, the next entry is the final observation.
    LastStep,
    /// The final observation of a truncated episode, without an action.
    Final,
}

impl Entry {
    /// The serialised form.
    pub(super) fn to_numbers(self) -> [u32; 4] {
        let flags = self.kind as u32 | u32::from(self.is_first) << 8;
        [self.action, self.reward.to_bits(), self.discount.to_bits(), flags]
    }

    pub(super) fn of_numbers([action, reward, discount, flags]: [u32; 4]) -> Option<Self> {
        let kinds = [Kind::Step, Kind::LastStep, Kind::Final];
        let (reward, discount) = (f32::from_bits(reward), f32::from_bits(discount));
        let is_good = flags >> 9 == 0 && reward.is_finite() && discount.is_finite();
        is_good.then_some(Self {
            action,
            reward,
            discount,
            kind: *kinds.get(flags as usize & 0xFF)?,
            is_first: flags >> 8 == 1,
        })
    }
}
