// Asks with the types that openapi-typescript made; prints a JSON object a call.

import createClient from "openapi-fetch";

import type { components, paths } from "./analytics.ts";

declare const process: { env: Record<string, string> };

const { COLLECTOR = "", API = "", KEY = "" } = process.env;
const collector = createClient<paths>({ baseUrl: COLLECTOR });
const api = createClient<paths>({ baseUrl: API, headers: { "X-API-Key": KEY } });

type Called = { data?: unknown; error?: unknown; response: Response };

const told = (name: string, { data, error, response }: Called) =>
  console.log(JSON.stringify({ name, status: response.status, read: data ?? error }));

const event: components["schemas"]["NewEvent"] = {
  session_id: "s",
  event_type: "typed",
  event_action: "view",
  user_id: "dan",
  metadata: { plan: "free" },
};

const sent = await collector.POST("/collect", { body: [event], params: { query: { ids: "1" } } });
const ids: string[] | undefined = sent.data?.ids;
told("collect", sent);
told("ids", { data: ids?.length, response: sent.response });

const ada = { path: { id: "ada" } };
const trends = await api.GET("/api/trends", {
  params: { query: { by: "metadata.plan", interval: "hour", last: "2d", where: ["user_id.set"] } },
});
const totals: (number | null)[] | undefined = trends.data?.data.series.map((line) => line.total);
const watermark: string | null | undefined = trends.data?.meta.watermark;
told("trends", trends);
told("totals", { data: [totals, typeof watermark], response: trends.response });
told("breakdown", await api.GET("/api/breakdown", { params: { query: { by: "event_type" } } }));
const funnel = await api.GET("/api/funnel", {
  params: { query: { step: ["page:view", "page:buy"], order: "strict" } },
});
const reached: number | undefined = funnel.data?.data.steps[1]?.n;
told("funnel", funnel);
told("reached", { data: reached, response: funnel.response });
told("retention", await api.GET("/api/retention", { params: { query: { period: "day" } } }));
told("paths", await api.GET("/api/paths"));
told("sessions", await api.GET("/api/sessions"));
told("lifecycle", await api.GET("/api/lifecycle"));
told("stickiness", await api.GET("/api/stickiness"));
told("users", await api.GET("/api/users", { params: { query: { limit: 1 } } }));
told("users_id", await api.GET("/api/users/{id}", { params: ada }));
told("users_id_timeline", await api.GET("/api/users/{id}/timeline", { params: ada }));
told("events", await api.GET("/api/events"));
told("events_id", await api.GET("/api/events/{id}", { params: { path: { id: "1" } } }));
told("export", await api.GET("/api/export", { parseAs: "text" }));
told("live", await api.GET("/api/live"));
told("schema", await api.GET("/api/schema"));
told("questions", await api.GET("/api"));

const wrong = await api.GET("/api/trends", { params: { query: { by: "metadata." } } });
const field: string | undefined = wrong.error?.error.field;
told("wrong", wrong);
told("field", { data: field, response: wrong.response });

// @ts-expect-error: there is no such interval
const never: paths["/api/trends"]["get"]["parameters"]["query"] = { interval: "year" };
void never;
