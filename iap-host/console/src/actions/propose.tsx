import { useState } from "preact/hooks";

import { type ApiError, asApiError, post } from "../api/client";
import { useGet } from "../api/hooks";
import { useText } from "../i18n";
import { Failure, Panel } from "../ui/parts";
import type { Page } from "../configuration/types";
import type { Action } from "./types";

const KINDS = ["drain", "undrain", "weight", "limit", "restart", "rollback", "end_sessions"] as const;
type Kind = (typeof KINDS)[number];

/** Asks for a dry run of an action. */
export function Propose({ done }: { done: () => void }) {
  const t = useText();
  const [kind, setKind] = useState<Kind>("drain");
  const [failure, setFailure] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const text = (name: string) => String(given.get(name) ?? "").trim();
    setFailure(null);
    try {
      await post("/api/actions", { action: action(kind, text), why: text("why") });
      form.reset();
      setKind("drain");
      done();
    } catch (error) {
      setFailure(asApiError(error));
    }
  };
  return (
    <Panel title={t.proposeTitle}>
      <form class="filters propose" onSubmit={(event) => void submit(event)}>
        <label class="field">
          <span>{t.actionKind}</span>
          <select value={kind} onChange={(event) => setKind(event.currentTarget.value as Kind)}>
            {KINDS.map((one) => (
              <option key={one} value={one}>
                {t.actionKinds[one]}
              </option>
            ))}
          </select>
        </label>
        {(kind === "drain" || kind === "undrain" || kind === "weight") && <Server weighs={kind === "weight"} />}
        {kind === "weight" && <Amount label={t.newWeight} most={1000} />}
        {kind === "limit" && <Limits />}
        {kind === "restart" && <Process />}
        {kind === "rollback" && <Before />}
        {kind === "end_sessions" && (
          <>
            <Text name="user" label={t.user} />
            <Text name="address" label={t.address} />
          </>
        )}
        <label class="field">
          <span>{t.whyAsked}</span>
          <input name="why" required maxLength={500} />
        </label>
        <button type="submit">{t.propose}</button>
      </form>
      {failure && <Failure error={failure} />}
    </Panel>
  );
}

function action(kind: Kind, text: (name: string) => string): Action {
  if (kind === "restart") return { kind, process: text("process") };
  if (kind === "rollback") {
    const [from = 0, to = 0] = text("revision").split(" ").map(Number);
    return { kind, from, to };
  }
  if (kind === "end_sessions") {
    const filter: Record<string, string> = {};
    for (const name of ["user", "address"]) if (text(name)) filter[name] = text(name);
    return { kind, filter };
  }
  if (kind === "limit") {
    const [setting = "", from = ""] = text("limit").split("\n");
    return { kind, setting, from: Number(from), to: Number(text("to")) };
  }
  const [upstream = "", server = "", weight = ""] = text("server").split("\n");
  if (kind === "weight") return { kind, upstream, server, from: Number(weight), to: Number(text("to")) };
  return { kind, upstream, server };
}

function Text({ name, label }: { name: string; label: string }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input name={name} maxLength={200} />
    </label>
  );
}

function Amount({ label, most }: { label: string; most: number }) {
  return (
    <label class="field">
      <span>{label}</span>
      <input name="to" type="number" required min={1} max={most} step={1} />
    </label>
  );
}

interface Upstreams {
  upstreams: { name: string; servers: { address: string; state: string; weight: number }[] }[];
}

function Server({ weighs }: { weighs: boolean }) {
  const t = useText();
  const { data } = useGet<Upstreams>("/api/upstreams");
  return (
    <label class="field">
      <span>{t.serverName}</span>
      <select name="server" required>
        {data?.upstreams.map((upstream) => (
          <optgroup key={upstream.name} label={upstream.name}>
            {upstream.servers.map((server) => (
              <option key={server.address} value={`${upstream.name}\n${server.address}\n${server.weight}`}>
                {server.address} · {server.state}
                {weighs && ` · ${t.weightNow(server.weight)}`}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
}

function Limits() {
  const t = useText();
  const { data } = useGet<{ limits: { setting: string; value: number }[] }>("/api/actions/limits");
  if (data?.limits.length === 0) return <p class="dim">{t.noLimits}</p>;
  return (
    <>
      <label class="field">
        <span>{t.limitName}</span>
        <select name="limit" required>
          {data?.limits.map(({ setting, value }) => (
            <option key={setting} value={`${setting}\n${value}`}>
              {setting} · {value}
            </option>
          ))}
        </select>
      </label>
      <Amount label={t.newLimit} most={Number.MAX_SAFE_INTEGER} />
    </>
  );
}

function Process() {
  const t = useText();
  const { data } = useGet<{ processes: { name: string }[] }>("/api/processes");
  return (
    <label class="field">
      <span>{t.processName}</span>
      <select name="process" required>
        {data?.processes.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

function Before() {
  const t = useText();
  const { data } = useGet<Page>("/api/config/revisions?limit=50");
  const stable = data?.revisions.filter(({ number, state }) => state === "stable" && number !== data.running) ?? [];
  return (
    <label class="field">
      <span>{t.revisionName}</span>
      <select name="revision" required>
        {stable.map(({ number, reason, author }) => (
          <option key={number} value={`${data?.running} ${number}`}>
            {number} · {reason || author}
          </option>
        ))}
      </select>
    </label>
  );
}
