import { useState } from "preact/hooks";

import { useMay } from "../access/store";
import { type ApiError, asApiError, post } from "../api/client";
import { usePolled } from "../api/hooks";
import { dateTime } from "../format";
import { useText } from "../i18n";
import { Answer, Coded, Failure, Heads, Panel } from "../ui/parts";
import { type Aim, ChangeInstance } from "./change-instance";
import type { Instance, Instances, Profile, Reloaded, Running } from "./types";

const BADGES: Record<Instance["state"], string> = { running: "ok", unreachable: "bad", refused: "warn", other: "warn" };

/** The hosts of the file: how each is, a new one, one that goes, and what they are made of. */
export function InstancesPanel({ running, changed }: { running: Running; changed: () => void }) {
  const t = useText();
  const administers = useMay("administer");
  const loaded = usePolled<Instances>("/api/instances", 5000);
  const [aim, setAim] = useState<Aim | null>(null);
  const close = (done: boolean) => {
    setAim(null);
    if (done) {
      loaded.reload();
      changed();
    }
  };
  const some = loaded.data !== null && loaded.data.instances.length > 0;
  return (
    <>
      <Panel title={t.instances} side={administers && some && <ReloadAll trial={running.trial !== null} done={loaded.reload} />}>
        <Answer of={loaded}>
          {({ instances, error }) => (
            <>
              {error && <p class="note bad-text">{t.driftError(error)}</p>}
              {instances.length === 0 ? (
                <p class="empty">
                  <Coded text={t.noInstances} />
                </p>
              ) : (
                <table class="cards-when-narrow">
                  <Heads texts={[t.instanceName, t.status, t.instanceFile, t.instanceListens, t.instanceProfiles, t.revisionName, ""]} />
                  <tbody>
                    {instances.map((one) => (
                      <Row key={one.name} one={one} act={administers && !running.trial ? setAim : null} />
                    ))}
                  </tbody>
                </table>
              )}
              {administers && instances.length > 0 && (
                <div class="filters config-actions">
                  <button type="button" disabled={running.trial !== null} onClick={() => setAim({ kind: "add" })}>
                    {t.addInstance}
                  </button>
                </div>
              )}
            </>
          )}
        </Answer>
      </Panel>
      {loaded.data && loaded.data.profiles.length > 0 && <ProfilesPanel profiles={loaded.data.profiles} />}
      {aim && <ChangeInstance key={`${aim.kind} ${aim.kind === "add" ? "" : aim.name}`} aim={aim} running={running} close={close} />}
    </>
  );
}

function Row({ one, act }: { one: Instance; act: ((aim: Aim) => void) | null }) {
  const t = useText();
  const { name } = one;
  const others = Object.entries(one.listen).filter(([setting]) => setting !== "server.listen");
  return (
    <tr>
      <td data-label={t.instanceName} class="main-cell" title={one.id}>
        {name}
        {one.own && <span class="dim"> · {t.thisInstance}</span>}
        {!one.here && <span class="dim"> · {t.elsewhere}</span>}
      </td>
      <td data-label={t.status}>
        <span>
          <span class={`badge badge-${BADGES[one.state]}`}>{t.instanceStates[one.state]}</span>
          {one.detail && <div class="instance-detail">{one.detail}</div>}
        </span>
      </td>
      <td data-label={t.instanceFile} class={one.in_sync === false ? "warn-text" : ""}>
        {one.in_sync === null ? "–" : one.in_sync ? t.inSync : t.behind}
      </td>
      <td data-label={t.instanceListens} title={others.map(([setting, address]) => `${setting} ${address}`).join("\n")}>
        <code>{one.listen["server.listen"]}</code>
      </td>
      <td data-label={t.instanceProfiles}>{one.profiles.join(", ") || "–"}</td>
      <td data-label={t.revisionName} title={one.since_ms === null ? "" : dateTime(one.since_ms)}>
        {one.revision === null ? "–" : `${one.revision} · ${one.version}`}
      </td>
      <td class="config-back">
        {act && (
          <span class="instance-actions">
            <button type="button" aria-label={t.cloneOf(name)} onClick={() => act({ kind: "clone", name })}>
              {t.clone}
            </button>
            {!one.own && (
              <button type="button" aria-label={t.deleteOf(name)} onClick={() => act({ kind: "delete", name })}>
                {t.deleteInstance}
              </button>
            )}
          </span>
        )}
      </td>
    </tr>
  );
}

/** Has all of them read the file again, and says what became of it. */
function ReloadAll({ trial, done }: { trial: boolean; done: () => void }) {
  const t = useText();
  const [told, setTold] = useState<Reloaded[] | null>(null);
  const [failure, setFailure] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const reload = async () => {
    setBusy(true);
    setFailure(null);
    try {
      setTold((await post<{ instances: Reloaded[] }>("/api/instances/reload", {})).instances);
      done();
    } catch (error) {
      setFailure(asApiError(error));
    }
    setBusy(false);
  };
  return (
    <div class="instance-reload">
      {told && (
        <span role="status">
          {told.map((one) => (
            <span key={one.name} class={one.done ? "" : "bad-text"}>
              {t.reloadTold(one.name, one.done, one.detail ?? one.changed.join(", "))}{" "}
            </span>
          ))}
        </span>
      )}
      {failure && <Failure error={failure} />}
      <button type="button" disabled={busy || trial} onClick={() => void reload()}>
        {t.reloadAll}
      </button>
    </div>
  );
}

function ProfilesPanel({ profiles }: { profiles: Profile[] }) {
  const t = useText();
  return (
    <Panel title={t.profiles}>
      <table class="cards-when-narrow">
        <Heads texts={[t.profileName, t.profileSets, t.profileUsers]} />
        <tbody>
          {profiles.map((profile) => (
            <tr key={profile.name}>
              <td data-label={t.profileName} class="main-cell">
                {profile.name}
              </td>
              <td data-label={t.profileSets} class="config-value">
                <code>{profile.sets.join(", ")}</code>
              </td>
              <td data-label={t.profileUsers}>{profile.used_by.join(", ") || t.nobody}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Panel>
  );
}
