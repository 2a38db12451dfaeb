//! The ways in which people look at pages.

use serde_json::{Value, json};

/// Whether pages may run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    On,
    Off,
}

/// What they look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Screen {
    Phone,
    Desktop,
}

/// Which colours they have asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    Light,
    Dark,
}

/// One way. Both schemes are looked at in each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Variant {
    pub script: Script,
    pub screen: Screen,
}

impl Variant {
    pub const ALL: [Self; 4] = [
        Self::new(Script::On, Screen::Desktop),
        Self::new(Script::Off, Screen::Phone),
        Self::new(Script::On, Screen::Phone),
        Self::new(Script::Off, Screen::Desktop),
    ];

    pub const fn new(script: Script, screen: Screen) -> Self {
        Self { script, screen }
    }

    /// Its place among all, for what each variant has to have of its own.
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|one| *one == self).unwrap()
    }

    /// `phone-noscript`
    pub fn name(self) -> &'static str {
        match (self.screen, self.script) {
            (Screen::Phone, Script::On) => "phone",
            (Screen::Phone, Script::Off) => "phone-noscript",
            (Screen::Desktop, Script::On) => "desktop",
            (Screen::Desktop, Script::Off) => "desktop-noscript",
        }
    }
}

impl Screen {
    /// Width and height, CSS pixels.
    pub fn size(self) -> (u32, u32) {
        match self {
            Self::Phone => (360, 740),
            Self::Desktop => (1280, 900),
        }
    }

    /// The same for the browser's protocol.
    pub fn metrics(self) -> Value {
        let (width, height) = self.size();
        let (mobile, scale) = match self {
            Self::Phone => (true, 2),
            Self::Desktop => (false, 1),
        };
        json!({ "width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile })
    }
}

impl Scheme {
    pub const BOTH: [Self; 2] = [Self::Dark, Self::Light];

    /// `dark` or `light`, as CSS says it, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}
