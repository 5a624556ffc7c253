/**
 * Who reaches whom, as a table of text: a row for each client, a column for each server, in a cell the letter of each trial that must
 * succeed, and "-" in the place of each that must be denied.
 *
 * ```
 *          db    api   cache
 *   web    t---  thui  thui
 *   batch  ----  thui  thui
 * ```
 */
import { CLIENTS, SERVERS, TRIALS, type Trial, type TruthPod } from "./pods.js";

/** Of every client, server and trial. */
export async function makeGrid(
  succeeds: (client: TruthPod, server: TruthPod, trial: Trial) => Promise<boolean> | boolean,
): Promise<string> {
  const rows = await Promise.all(
    CLIENTS.map(async (client) => {
      const cells = await Promise.all(
        SERVERS.map(async (server) => {
          const all = await Promise.all(
            TRIALS.map(async (trial) => ((await succeeds(client, server, trial)) ? trial.letter : "-")),
          );
          return all.join("");
        }),
      );
      return [client.name, ...cells];
    }),
  );
  return text([["", ...SERVERS.map(({ name }) => name)], ...rows]);
}

/** In the form of `makeGrid`, so that both can be compared as text. */
export function parseGrid(grid: string): string {
  const lines = grid.split("\n").filter((line) => line.trim() !== "");
  const [header = "", ...rows] = lines;
  const names = rows.map((row) => row.trim().split(/\s+/)[0]);
  const servers = header.trim().split(/\s+/);
  if (
    names.join() !== CLIENTS.map(({ name }) => name).join() ||
    servers.join() !== SERVERS.map(({ name }) => name).join()
  )
    throw new Error(`Not a grid of all clients and servers:\n${grid}`);
  return text([["", ...servers], ...rows.map((row) => row.trim().split(/\s+/))]);
}

function text(rows: readonly (readonly string[])[]): string {
  return rows
    .map(([name = "", ...cells]) => [name.padEnd(6), ...cells.map((cell) => cell.padEnd(6))].join("").trimEnd())
    .join("\n");
}
