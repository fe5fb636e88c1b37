/**
 * Literals that every match of a pattern holds, so that an index or a plain search for text can pass over what cannot
 * match. From alternatives and small classes come several of which one is there: `colou?r|gr[ae]y`.
 * Source: the idea of Russ Cox, swtch.com/~rsc/regexp/regexp4.html, with literals in place of trigrams.
 * @module
 */
import { type CodePoints, membersOf, sizeOf } from "./code-points.ts";
import type { Node } from "./syntax.ts";

/** A text that matches holds at least one of them. */
export type Clause = readonly string[];

export interface Required {
  /** A text that matches satisfies each. */
  readonly clauses: readonly Clause[];
  /** Letters of ASCII may be there in either case. */
  readonly ignoreCase: boolean;
}

/** Of one clause. */
const mostLiterals = 16;
const mostClauses = 8;
/** UTF-16 units. */
const longestLiteral = 60;

/** What matches is exactly one of the texts; or they are not known, and only clauses are. */
interface Known {
  readonly exact: readonly string[] | null;
  readonly clauses: readonly Clause[];
}

const nothing: Known = { exact: null, clauses: [] };

/**
 * @example requiredLiterals(parse("(foo|bar)+ \\d+ baz")).clauses // [["foo", "bar"], [" "], [" baz"]]
 */
export function requiredLiterals(node: Node): Required {
  const finder = new Finder();
  const { exact, clauses } = finder.find(node);
  const all = exact === null ? clauses : [...clauses, exact];
  const distinct = new Map(all.map(withoutLineEnds).map((clause) => [JSON.stringify(clause), clause]));
  const useful = [...distinct.values()].filter(isUseful).sort((left, right) => weight(right) - weight(left));
  return { clauses: useful.slice(0, mostClauses), ignoreCase: finder.ignoreCase };
}

/** How much a clause can be expected to leave out: by its shortest literal, and how many it has. */
function weight(clause: Clause): number {
  return Math.min(...clause.map((literal) => literal.length)) - clause.length / (mostLiterals + 1);
}

function isUseful(clause: Clause): boolean {
  return clause.length > 0 && clause.length <= mostLiterals && clause.every((literal) => literal !== "");
}

/** A line end may have another form in the text than in the pattern. */
function withoutLineEnds(clause: Clause): Clause {
  const longest = (literal: string) =>
    literal.split(/[\r\n]+/).reduce((best, part) => (part.length > best.length ? part : best), "");
  return [...new Set(clause.map(longest))];
}

class Finder {
  ignoreCase = false;

  find(node: Node): Known {
    switch (node.type) {
      case "empty":
      case "assertion":
        return { exact: [""], clauses: [] };
      case "set":
        return this.#findSet(node.set);
      case "sequence":
        return this.#findSequence(node.nodes);
      case "alternatives":
        return findAlternatives(node.nodes.map((part) => this.find(part)));
      case "repetition":
        return this.#findRepetition(node);
    }
  }

  #findSet(set: CodePoints): Known {
    const size = sizeOf(set);
    if (size === 0 || size > 8) return nothing;
    const members = membersOf(set).map((point) => String.fromCodePoint(point));
    const letters = members.map((member) => (/[A-Z]/.test(member) ? member.toLowerCase() : member));
    const distinct = [...new Set(letters)];
    if (distinct.length < members.length) this.ignoreCase = true;
    // Other letters are folded differently by whoever compares without case.
    if (distinct.some((letter) => letter > "\x7f" && letter.toLowerCase() !== letter.toUpperCase()) && size > 1)
      return nothing;
    return { exact: distinct.length < members.length ? distinct : members, clauses: [] };
  }

  #findSequence(nodes: readonly Node[]): Known {
    const clauses: Clause[] = [];
    let exact: readonly string[] = [""];
    let isWhole = true;
    for (const node of nodes) {
      const part =
        node.type === "repetition" && node.maximum === Infinity ? this.#findLoop(node) : this.#findPart(node);
      const joined = part.exact === null ? null : product(exact, part.exact);
      clauses.push(...part.clauses);
      if (joined !== null) exact = joined;
      else {
        clauses.push(exact);
        exact = part.exact ?? [""];
        isWhole = false;
      }
      if (part.endsAnew !== null) {
        clauses.push(exact);
        exact = part.endsAnew;
        isWhole = false;
      }
    }
    if (isWhole) return { exact, clauses };
    return { exact: null, clauses: [...clauses, exact] };
  }

  #findPart(node: Node): Known & { readonly endsAnew: readonly string[] | null } {
    return { ...this.find(node), endsAnew: null };
  }

  /** Its first round goes on what was before, its last one is followed by what comes. */
  #findLoop(node: Node & { type: "repetition" }): Known & { readonly endsAnew: readonly string[] | null } {
    if (node.minimum === 0) return { exact: [""], clauses: [], endsAnew: [""] };
    const { exact, clauses } = this.find(node.node);
    if (exact === null) return { exact: null, clauses, endsAnew: null };
    return { exact, clauses, endsAnew: exact };
  }

  #findRepetition({ node, minimum, maximum }: Node & { type: "repetition" }): Known {
    if (maximum === 0) return { exact: [""], clauses: [] };
    const { exact, clauses } = this.find(node);
    if (minimum === 0) {
      if (maximum > 1 || exact === null) return nothing;
      return { exact: [...new Set([...exact, ""])], clauses: [] };
    }
    if (exact === null) return { exact: null, clauses };
    let repeated: readonly string[] | null = [""];
    for (let round = 0; round < minimum && repeated !== null; round += 1) repeated = product(repeated, exact);
    if (repeated !== null && minimum === maximum) return { exact: repeated, clauses };
    return { exact: null, clauses: [...clauses, repeated ?? exact] };
  }
}

function findAlternatives(parts: readonly Known[]): Known {
  const exact = new Set(parts.flatMap((part) => part.exact ?? []));
  if (parts.every((part) => part.exact !== null) && exact.size <= mostLiterals) {
    return { exact: [...exact], clauses: [] };
  }
  const best = parts.map(({ exact: texts, clauses }) => {
    return (texts === null ? [...clauses] : [...clauses, texts])
      .filter(isUseful)
      .sort((a, b) => weight(b) - weight(a))[0];
  });
  const joined = best.every((clause) => clause !== undefined) ? [...new Set(best.flat())] : [];
  return { exact: null, clauses: isUseful(joined) ? [joined] : [] };
}

/** Each with each. Null: too many, or too long. */
function product(left: readonly string[], right: readonly string[]): readonly string[] | null {
  if (left.length * right.length > mostLiterals) return null;
  const joined = left.flatMap((first) => right.map((second) => first + second));
  return joined.every((text) => text.length <= longestLiteral) ? [...new Set(joined)] : null;
}
