//! What the journeys share: one platform with papers in it, one driver with a browser for each journey that is under way, the
//! checkers, and where pictures go.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use tempfile::TempDir;
use tests::{Platform, binaries};

use crate::papers;
use crate::tools::Tools;
use crate::validity::Validity;
use crate::webdriver::{Driver, Session};

/// All of it. Dropping it ends every process.
pub struct Stage {
    /// Where the pages are.
    pub web: String,
    pub platform: Platform,
    /// The text of axe-core.
    pub axe: String,
    /// The folder of the pictures.
    pub screenshots: PathBuf,
    idle: Mutex<Vec<Session>>,
    driver: Driver,
    validity: Mutex<Validity>,
    bytes: Mutex<BTreeMap<&'static str, u64>>,
    _folder: TempDir,
}

impl Stage {
    /// Starts everything; the first time ever, browser and checkers are installed.
    pub fn start() -> Self {
        let tools = Tools::find();
        let screenshots = binaries().parent().unwrap().join("screenshots");
        // What an earlier run saw would pass for what this one saw.
        let _ = std::fs::remove_dir_all(&screenshots);
        std::fs::create_dir_all(&screenshots).unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Servers of webhooks are on this machine, and a vote counts at once.
        let inside = [
            ("BROADSHEET_NOTIFICATION__WEBHOOK_NETWORKS", "127.0.0.0/8"),
            ("BROADSHEET_WEB__READER_MINUTES", "0"),
        ];
        let platform = Platform::start_with(folder.path(), &inside);
        let taken = platform.run_with_input(&["ingest", "-", "--wait", "--json"], &papers::lines());
        assert_eq!(taken.status, 0, "{taken:?}");
        Self {
            web: platform.endpoint("web"),
            platform,
            axe: std::fs::read_to_string(tools.checkers.join("axe-core/axe.min.js")).unwrap(),
            screenshots,
            idle: Mutex::default(),
            driver: Driver::start(&tools),
            validity: Mutex::new(Validity::start(&tools)),
            bytes: Mutex::default(),
            _folder: folder,
        }
    }

    /// A browser that is not in use.
    pub fn session(&self) -> Session {
        let idle = self.idle.lock().unwrap().pop();
        idle.unwrap_or_else(|| self.driver.session())
    }

    /// Takes a browser back.
    pub fn take_back(&self, session: Session) {
        self.idle.lock().unwrap().push(session);
    }

    /// What the standard of HTML has against a page.
    pub fn invalid(&self, html: &str) -> Vec<String> {
        self.validity.lock().unwrap().findings(html)
    }

    /// Whether an address is of the platform; what a page holds itself is of nobody.
    pub fn is_ours(&self, url: &str) -> bool {
        url.strip_prefix(&self.web).is_some_and(|rest| rest.starts_with('/')) || url.starts_with("data:")
    }

    /// Takes note of what a page transferred.
    pub fn note_bytes(&self, page: &'static str, bytes: u64) {
        let mut noted = self.bytes.lock().unwrap();
        let most = noted.entry(page).or_default();
        *most = bytes.max(*most);
    }

    /// The page that transferred most, and how many bytes.
    pub fn heaviest(&self) -> Option<(&'static str, u64)> {
        let noted = self.bytes.lock().unwrap();
        noted
            .iter()
            .map(|(page, bytes)| (*page, *bytes))
            .max_by_key(|(_, bytes)| *bytes)
    }
}
