//! The audience of all gateways: sketches that Redis unites and counts itself (`PFMERGE`, `PFCOUNT`).

use std::sync::LazyLock;

use fred::types::ClusterHash;
use fred::types::scripts::Script;

use crate::audience::{AudienceStore, By, Seen, shared_levels};
use crate::error::StoreError;
use crate::store::BoxFuture;

use super::RedisStore;
use super::failure::Effect;

/// `KEYS[1]`: what all keys of the series begin with, in one slot. `ARGV`: the sketch, then for each level the end
/// of its key and how many milliseconds it lives. Nothing is left without an end, wherever it breaks off.
static UNITE: LazyLock<Script> = LazyLock::new(|| {
    Script::from_lua(
        "local seen = KEYS[1] .. ':seen'
         redis.call('SET', seen, ARGV[1], 'PX', 10000)
         for at = 2, #ARGV, 2 do
           local key = KEYS[1] .. ARGV[at]
           redis.call('PFMERGE', key, seen)
           redis.call('PEXPIRE', key, ARGV[at + 1])
         end
         redis.call('DEL', seen)
         return {'OK'}",
    )
});

impl RedisStore {
    /// One series, in one slot. Braces in names would move it to another.
    fn series(&self, by: &By, application: Option<&str>) -> String {
        let plain = |name: &str| name.replace(['{', '}'], "_");
        let application = application.map(|name| format!("={}", plain(name)));
        format!("{}:a:{{{}{}}}", self.prefix, plain(&by.to_string()), application.unwrap_or_default())
    }
}

impl AudienceStore for RedisStore {
    fn unite<'a>(&'a self, now_s: u64, seen: &'a Seen) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let mut args = vec![seen.sketch.to_redis().as_slice().into()];
            for (width_s, kept_s) in shared_levels() {
                let start_s = now_s - now_s % width_s;
                args.extend([slot(width_s, start_s).into(), (kept_s as i64 * 1000).into()]);
            }
            let series = self.series(&seen.by, seen.application.as_deref());
            self.connection.script_unconfirmed(&UNITE, &series, args).await?;
            Ok(())
        })
    }

    fn count<'a>(
        &'a self,
        by: &'a By,
        application: Option<&'a str>,
        width_s: u64,
        slots: &'a [u64],
    ) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            if slots.is_empty() {
                return Ok(0);
            }
            let series = self.series(by, application);
            let keys = slots.iter().map(|start_s| format!("{series}{}", slot(width_s, *start_s)).into());
            self.connection.command("PFCOUNT", ClusterHash::FirstKey, keys.collect(), Effect::Read).await
        })
    }
}

fn slot(width_s: u64, start_s: u64) -> String {
    format!(":{width_s}:{start_s}")
}
