//! What a guard is told, in one environment variable.

use std::time::Duration;

/// The variable. The command itself does not see it.
pub(in super::super) const MARKER: &str = "IAP_PROCESS_GUARD";

/// Names the directory of the control group that the command goes into, if it has one of its own. The command
/// does not see it either.
pub(in super::super) const GROUP: &str = "IAP_PROCESS_GROUP";

/// What kind of process this one is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Stage {
    /// The guard.
    Guard,
    /// What becomes the command. `parent` is the guard's number.
    Launch { parent: i32 },
}

/// How to start and to stop a command.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in super::super) struct Orders {
    /// The number of the signal that asks the command to stop.
    pub(in super::super) signal: i32,
    /// How long it may take then.
    pub(in super::super) patience: Duration,
    /// User and group to change to.
    pub(in super::super) user: Option<(u32, u32)>,
    /// Bounds (setrlimit(2)): open files, bytes of address space, processes of the user.
    pub(in super::super) open_files: Option<u64>,
    pub(in super::super) address_space: Option<u64>,
    pub(in super::super) processes: Option<u64>,
    /// Whether it must not run outside of its control group.
    pub(in super::super) needs_group: bool,
}

impl Orders {
    pub(in super::super) fn to_text(self, stage: Stage) -> String {
        let parent = match stage {
            Stage::Guard => 0,
            Stage::Launch { parent } => parent,
        };
        let mut text =
            format!("parent={parent};signal={};patience={}", self.signal, self.patience.as_millis());
        if let Some((user, group)) = self.user {
            text.push_str(&format!(";user={user};group={group}"));
        }
        if self.needs_group {
            text.push_str(";needs_group=true");
        }
        let limits =
            [("files", self.open_files), ("space", self.address_space), ("processes", self.processes)];
        for (name, limit) in limits {
            if let Some(limit) = limit {
                text.push_str(&format!(";{name}={limit}"));
            }
        }
        text
    }

    pub(super) fn parse(text: &str) -> Option<(Stage, Self)> {
        let (mut parent, mut user, mut group, mut orders) = (None, None, None, Self::default());
        for pair in text.split(';') {
            let (name, value) = pair.split_once('=')?;
            match name {
                "parent" => parent = Some(value.parse::<i32>().ok()?),
                "signal" => orders.signal = value.parse().ok()?,
                "patience" => orders.patience = Duration::from_millis(value.parse().ok()?),
                "user" => user = Some(value.parse().ok()?),
                "group" => group = Some(value.parse().ok()?),
                "needs_group" => orders.needs_group = value.parse().ok()?,
                "files" => orders.open_files = Some(value.parse().ok()?),
                "space" => orders.address_space = Some(value.parse().ok()?),
                "processes" => orders.processes = Some(value.parse().ok()?),
                _ => return None,
            }
        }
        orders.user = user.zip(group);
        let stage = match parent? {
            0 => Stage::Guard,
            parent => Stage::Launch { parent },
        };
        Some((stage, orders))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_survive_the_way() {
        let full = Orders {
            signal: 15,
            patience: Duration::from_millis(1500),
            user: Some((1000, 100)),
            open_files: Some(64),
            address_space: Some(1 << 40),
            processes: Some(7),
            needs_group: true,
        };
        for orders in
            [full, Orders { user: None, open_files: None, needs_group: false, ..full }, Orders::default()]
        {
            for stage in [Stage::Guard, Stage::Launch { parent: 77 }] {
                assert_eq!(Orders::parse(&orders.to_text(stage)), Some((stage, orders)));
            }
        }
        for bad in ["", "1", "parent=1;x=2", "parent=", "signal=15"] {
            assert_eq!(Orders::parse(bad), None, "{bad}");
        }
    }
}
