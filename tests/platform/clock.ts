/** Prints both clocks for each line that it is given. */
import process from "node:process";
import { createInterface } from "node:readline";

console.log("ready");
createInterface({ input: process.stdin }).on("line", () => {
  console.log(JSON.stringify([performance.now(), Date.now()]));
});
