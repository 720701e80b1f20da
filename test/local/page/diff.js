/**
 * Returns what differs between two documents, by path, in the order of the newer one. The entries
 * of a list are compared as a set: a list of positions moves on, and its indexes mean nothing.
 */
export function diffOf(before, after) {
  const [old, fresh] = [leavesOf(before), leavesOf(after)];
  const paths = [...new Set([...fresh.keys(), ...old.keys()])];
  return paths
    .map((path) => {
      const [was, is] = [old.get(path) ?? [], fresh.get(path) ?? []];
      return {
        path,
        removed: was.filter((value) => !is.includes(value)),
        added: is.filter((value) => !was.includes(value)),
      };
    })
    .filter(({ removed, added }) => removed.length > 0 || added.length > 0);
}

/** The values of every path, as JSON. */
function leavesOf(value, path = "", leaves = new Map()) {
  if (Array.isArray(value)) {
    leaves.set(
      path,
      value.map((item) => JSON.stringify(item)),
    );
  } else if (typeof value === "object" && value !== null) {
    for (const [name, inner] of Object.entries(value)) {
      leavesOf(inner, path === "" ? name : `${path}.${name}`, leaves);
    }
  } else {
    leaves.set(path, [JSON.stringify(value)]);
  }
  return leaves;
}
