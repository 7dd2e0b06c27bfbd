//! What stands for the translator where the crate is built without its feature `translate`: there are no translations.

use super::Cpu;
use crate::bus::Bus;

pub(crate) enum Translations {}

impl Translations {
    pub(crate) fn new(_: &[u8]) -> Option<Translations> {
        None
    }
}

impl Cpu {
    pub(super) fn run_translated(&mut self, _: &mut Bus, translations: &Translations) {
        match *translations {}
    }
}
