//! A changed configuration takes the place of the one that runs, whole or not at all.
//!
//! | what has changed | what happens |
//! |---|---|
//! | routes and upstreams alone, files of passwords, tokens and keys | the route table is swapped; connections stay, those to upstreams as well whose settings have not changed |
//! | `server`, the policies of `sessions` | a new server takes over the listening sockets, the old one drains |
//! | the rest of a route with `rate_limits` | limits that are the same go on, by the route's name |
//! | a process | another one with the new settings starts beside it; once that is ready, the routes are swapped and the one before finishes its requests |
//! | `admin.hosts`, `admin.access`, the rest of `admin.revisions`, `log.level` | swapped; who is signed in stays so |
//! | `reports` | the new schedules |
//! | `ops` | who is asked for help and who may ask, what is masked, and the policies of actions; what was proposed stays |
//! | `alerts` | the new rules go on with what the old ones have found |
//! | what the process hangs on | refused with the setting's name: a new process can take over (`SIGUSR2`) |

use std::sync::Arc;
use std::time::Duration;

use iap_core::{RouteTable, Upstream};
use iap_ops::Help;
use iap_ops::actions::Policy;

use super::access::make_access;
use super::auth;
use super::desk::start_desk;
use super::gateway::{Gateway, start_gateway};
use super::help::make_help;
use super::mcp::make_mcp;
use super::processes::Processes;
use super::routes::build_routes;
use super::upstreams::Upstreams;
use super::watch::event_loops;
use super::{BootError, Platform, failed};
use crate::access::Access;
use crate::admin::Facts;
use crate::alerts::RunningDesk;
use crate::config::{Config, Environment};
use crate::logging;
use crate::mcp::McpServer;
use crate::reports::Reports;
use crate::revisions::Revisions;

/// How long the workers of the settings before may take to hear that others accept now.
const HAND_OVER: Duration = Duration::from_secs(5);

/// What operators use; each is there where it has changed.
struct Operators {
    desk: Option<Option<RunningDesk>>,
    ops: Option<Ops>,
    access: Option<Option<Arc<Access>>>,
}

type Ops = (Help, Option<Arc<McpServer>>, Policy);

impl Platform {
    /// Takes over a checked configuration. Returns the sections that have changed. On an error nothing
    /// has changed.
    pub(crate) async fn reload(
        &mut self,
        new: Config,
        environment: &Environment,
    ) -> Result<Vec<&'static str>, BootError> {
        let old = &self.config;
        if let Some(setting) = fixed(old, &new) {
            let text =
                "this cannot change while the process runs: let a new one take over (SIGUSR2), or restart";
            return Err(failed(setting)(text));
        }
        let changed = self.changed(&new);
        if changed.is_empty() {
            return Ok(changed);
        }
        let has = |section| changed.contains(&section);

        // All that can fail comes first.
        let upstreams = Upstreams::start(&new, Some(&self.upstreams), &self.runtime)?;
        let processes = Processes::start(&new, environment, &self.processes, &self.runtime)?;
        processes.ready(&self.processes).await?;
        let before = self.gateway.server.routes();
        let (routes, auth) =
            build_routes(&new, &before, environment, &upstreams, &processes, &mut self.shop).await?;
        drop(before);
        let filter = logging::parse(&new.log).map_err(failed("log.level"))?;
        let operators = self.prepare_operators(&new, environment, &changed)?;
        upstreams.take_over(&self.upstreams);
        let former = if has("server") || has("sessions") {
            Some(self.replace_gateway(&new, routes, environment)?)
        } else {
            self.gateway.server.set_routes(routes);
            None
        };

        // From here on nothing can fail.
        self.set_operators(operators);
        self.auth = auth;
        self.upstreams = upstreams;
        self.admin.set_upstreams([self.upstreams.list(), processes.upstreams()].concat());
        self.replace_processes(processes);
        logging::set(filter);
        self.admin.set_hosts(new.admin.hosts.clone());
        self.addresses.http = self.gateway.server.addresses()[0];
        self.addresses.https = self.gateway.server.addresses().get(1).copied();
        self.admin.publish(Facts::new(&new, self.addresses));
        if has("reports") || has("alerts") || has("ops") {
            let shared = self.sessions.as_ref().and_then(|core| core.redis.clone());
            self.observers.reports = Reports::start(&new, &self.admin, shared, &self.runtime);
        }
        let drain = self.config.server.drain.0;
        self.config = new;
        if let Some(former) = former {
            self.retire(former, drain).await;
        }
        Ok(changed)
    }

    /// The upstreams that there are now, those of processes among them.
    pub(crate) fn upstreams(&self) -> Arc<Vec<Arc<Upstream>>> {
        self.admin.upstreams()
    }

    /// Makes revisions visible.
    pub(crate) fn set_revisions(&self, revisions: Revisions) {
        self.admin.set_revisions(revisions);
    }

    /// Makes what operators use, as far as its sections have changed.
    fn prepare_operators(
        &self,
        new: &Config,
        environment: &Environment,
        changed: &[&'static str],
    ) -> Result<Operators, BootError> {
        let has = |section| changed.contains(&section);
        let start_desk = || {
            let before = self.observers.desk.as_ref().map(|running| &*running.desk);
            let (apm, sessions) = (self.apm.as_ref(), self.sessions.as_ref());
            start_desk(new, environment, apm, sessions, (before, &self.runtime))
        };
        Ok(Operators {
            desk: has("alerts").then(start_desk).transpose()?,
            ops: has("ops").then(|| self.ops(new, environment)).transpose()?,
            access: has("admin").then(|| make_access(&new.admin, environment, &self.runtime)).transpose()?,
        })
    }

    fn set_operators(&mut self, operators: Operators) {
        if let Some(desk) = operators.desk {
            self.admin.set_desk(desk.as_ref());
            self.observers.desk = desk;
        }
        if let Some((help, mcp, policy)) = operators.ops {
            self.admin.set_help(help);
            self.admin.set_mcp(mcp);
            if let Some(actions) = &self.observers.actions {
                actions.set_policy(policy);
            }
        }
        if let Some(access) = operators.access {
            self.admin.set_access(access);
        }
    }

    /// Help for the assistant, who may ask it from elsewhere, and what may be done.
    fn ops(&self, new: &Config, environment: &Environment) -> Result<Ops, BootError> {
        let assistant = self.admin.assistant();
        let before = assistant.as_ref().map(|assistant| (&self.config.ops, assistant.help()));
        let help = make_help(&new.ops, environment, before, &self.runtime)?;
        let helped = assistant.as_ref().map(|assistant| assistant.with_help(help.clone()));
        let mcp = make_mcp(new, environment, helped, self.observers.actions.as_ref())?;
        Ok((help, mcp, new.ops.actions.policy()))
    }

    /// The sections that differ, and those whose files of passwords, tokens and keys do.
    fn changed(&self, new: &Config) -> Vec<&'static str> {
        let mut changed = changed_sections(&self.config, new);
        for (before, after) in self.auth.iter().zip(auth::material(new)) {
            if *before != after && !changed.contains(&after.0) {
                changed.push(after.0);
            }
        }
        changed
    }

    /// Those that were changed or removed finish what they have begun.
    fn replace_processes(&mut self, next: Processes) {
        self.admin.set_processes(next.list());
        let former = std::mem::replace(&mut self.processes, next).without(&self.processes);
        if !former.is_empty() {
            self.finish_beside(async move {
                former.retire().await;
                0
            });
        }
    }

    /// Lets what is on its way out finish beside what runs now; a stop waits for it.
    fn finish_beside(&mut self, finish: impl Future<Output = usize> + Send + 'static) {
        self.draining.retain(|earlier| !earlier.is_finished());
        self.draining.push(self.runtime.spawn(finish));
    }

    /// Lets a gateway finish what it has begun. Whoever connects once this is over meets the one that runs.
    async fn retire(&mut self, mut former: Gateway, drain: Duration) {
        former.server.stop_accepting(HAND_OVER).await;
        self.finish_beside(async move {
            let left = former.shutdown(drain).await;
            if left > 0 {
                tracing::warn!(connections = left, "connections of the settings before were closed");
            }
            left
        });
    }

    /// A new server takes over the sockets, and gives back the one before.
    fn replace_gateway(
        &mut self,
        new: &Config,
        routes: RouteTable,
        environment: &Environment,
    ) -> Result<Gateway, BootError> {
        let layers =
            self.sessions.as_ref().map(|core| core.layers(&new.sessions, environment)).transpose()?;
        let sockets = self.gateway.server.sockets().map_err(failed("server.listen"))?;
        // A port that the system has chosen stays.
        let mut bound = new.clone();
        if new.server.listen == self.config.server.listen {
            bound.server.listen = self.addresses.http;
        }
        if let (Some(tls), Some(before), Some(address)) =
            (&mut bound.server.tls, &self.config.server.tls, self.addresses.https)
            && tls.listen == before.listen
        {
            tls.listen = address;
        }
        let next = start_gateway(&bound, routes, layers, self.apm.as_ref(), sockets, &self.runtime)?;
        let former = std::mem::replace(&mut self.gateway, next);
        self.admin.set_runtimes(event_loops(&self.gateway, &self.runtime));
        self.admin.set_certificates(self.gateway.shown.clone());
        Ok(former)
    }
}

/// The sections that differ.
pub(crate) fn changed_sections(old: &Config, new: &Config) -> Vec<&'static str> {
    let sections = [
        ("server", old.server != new.server),
        ("sessions", old.sessions != new.sessions),
        ("admin", old.admin != new.admin),
        ("log", old.log != new.log),
        ("alerts", old.alerts != new.alerts),
        ("reports", old.reports != new.reports),
        ("ops", old.ops != new.ops),
        ("upstreams", old.upstreams != new.upstreams),
        ("routes", old.routes != new.routes),
    ];
    sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
}

/// The first setting that differs and that the process hangs on.
pub(crate) fn fixed(old: &Config, new: &Config) -> Option<&'static str> {
    let (before, after) = (&old.sessions, &new.sessions);
    let settings = [
        ("admin.listen", old.admin.listen != new.admin.listen),
        ("admin.revisions.directory", old.admin.revisions.directory != new.admin.revisions.directory),
        ("apm", old.apm != new.apm),
        ("log.format", old.log.format != new.log.format),
        ("sessions.enabled", before.enabled != after.enabled),
        ("sessions.store", before.store != after.store),
        ("sessions.redis", before.redis != after.redis),
        ("sessions.secret", before.secret != after.secret),
        ("sessions.api", before.api != after.api),
        ("sessions.max_count", before.max_count != after.max_count),
        ("sessions.max_memory", before.max_memory != after.max_memory),
        ("sessions.snapshot", before.snapshot != after.snapshot),
        ("sessions.audience", before.audience != after.audience),
        ("sessions.node", before.node != after.node),
        ("sessions.events", before.events != after.events),
        ("sessions.revocations", before.revocations != after.revocations),
    ];
    settings.into_iter().find(|(_, differs)| *differs).map(|(name, _)| name)
}
