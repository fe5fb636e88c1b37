/** Languages by the names that ripgrep has for them (`rg --type-list`), with the files that belong to each. @module */
import { compileGlob } from "./glob-pattern.ts";
import { FileError } from "./store.ts";

const globs: ReadonlyMap<string, string> = new Map([
  ["asm", "{*.S,*.asm,*.s}"],
  ["awk", "*.awk"],
  ["bazel", "{*.BUILD,*.bazel,*.bazelrc,*.bzl,BUILD,MODULE.bazel,WORKSPACE,WORKSPACE.bazel,WORKSPACE.bzlmod}"],
  ["c", "{*.[chH],*.[chH].in,*.cats}"],
  ["clojure", "{*.clj,*.cljc,*.cljs,*.cljx}"],
  ["cmake", "{*.cmake,CMakeLists.txt}"],
  ["config", "{*.cfg,*.conf,*.config,*.ini}"],
  ["cpp", "{*.[ChH],*.[ChH].in,*.[ch]pp,*.[ch]pp.in,*.[ch]xx,*.[ch]xx.in,*.cc,*.cc.in,*.hh,*.hh.in,*.inl}"],
  ["cs", "*.cs"],
  ["csharp", "*.cs"],
  ["css", "{*.css,*.scss}"],
  ["csv", "*.csv"],
  ["cython", "{*.pxd,*.pxi,*.pyx}"],
  ["dart", "*.dart"],
  ["diff", "{*.diff,*.patch}"],
  ["docker", "*Dockerfile*"],
  ["elixir", "{*.eex,*.ex,*.exs,*.heex,*.leex,*.livemd}"],
  ["elm", "*.elm"],
  ["erlang", "{*.erl,*.hrl}"],
  ["fish", "*.fish"],
  ["fsharp", "{*.fs,*.fsi,*.fsx}"],
  ["go", "*.go"],
  ["gradle", "{*.gradle,*.gradle.kts,gradle-wrapper.*,gradle.properties,gradlew,gradlew.bat}"],
  ["groovy", "{*.gradle,*.groovy}"],
  ["h", "{*.h,*.hh,*.hpp}"],
  ["haskell", "{*.c2hs,*.cpphs,*.hs,*.hsc,*.lhs}"],
  ["hs", "{*.hs,*.lhs}"],
  ["html", "{*.ejs,*.htm,*.html}"],
  ["java", "{*.java,*.jsp,*.jspx,*.properties}"],
  ["jinja", "{*.j2,*.jinja,*.jinja2}"],
  ["js", "{*.cjs,*.js,*.jsx,*.mjs,*.vue}"],
  ["json", "{*.json,*.sarif,composer.lock}"],
  ["jsonl", "*.jsonl"],
  ["julia", "*.jl"],
  ["jupyter", "{*.ipynb,*.jpynb}"],
  ["kotlin", "{*.kt,*.kts}"],
  ["less", "*.less"],
  ["lisp", "{*.el,*.jl,*.lisp,*.lsp,*.sc,*.scm}"],
  ["log", "*.log"],
  ["lua", "*.lua"],
  [
    "make",
    "{*.mak,*.mk,Makefile.*,[Gg][Nn][Uu]makefile,[Gg][Nn][Uu]makefile.am,[Gg][Nn][Uu]makefile.in,[Mm]akefile,[Mm]akefile.am,[Mm]akefile.in}",
  ],
  ["markdown", "{*.markdown,*.md,*.mdown,*.mdwn,*.mdx,*.mkd,*.mkdn}"],
  ["md", "{*.markdown,*.md,*.mdown,*.mdwn,*.mdx,*.mkd,*.mkdn}"],
  ["nim", "{*.nim,*.nimble,*.nimf,*.nims}"],
  ["nix", "*.nix"],
  ["objc", "{*.h,*.m}"],
  ["ocaml", "{*.ml,*.mli,*.mll,*.mly}"],
  ["org", "{*.org,*.org_archive}"],
  ["perl", "{*.PL,*.perl,*.pl,*.plh,*.plx,*.pm,*.t}"],
  ["php", "{*.php,*.php3,*.php4,*.php5,*.php7,*.php8,*.pht,*.phtml}"],
  ["protobuf", "*.proto"],
  ["ps", "{*.cdxml,*.ps1,*.ps1xml,*.psd1,*.psm1}"],
  ["puppet", "{*.epp,*.erb,*.pp,*.rb}"],
  ["py", "{*.py,*.pyi}"],
  ["r", "{*.R,*.Rmd,*.Rnw,*.r,*.rmd,*.rnw}"],
  ["racket", "*.rkt"],
  ["rst", "*.rst"],
  ["ruby", "{*.gemspec,*.rake,*.rb,*.rbw,.irbrc,Gemfile,Rakefile,config.ru}"],
  ["rust", "*.rs"],
  ["sass", "{*.sass,*.scss}"],
  ["scala", "{*.sbt,*.scala}"],
  [
    "sh",
    "{*.bash,*.bashrc,*.csh,*.cshrc,*.env,*.ksh,*.kshrc,*.sh,*.tcsh,*.zsh,.bash_login,.bash_logout,.bash_profile,.bashrc,.cshrc,.env,.kshrc,.login,.logout,.profile,.tcshrc,.zlogin,.zlogout,.zprofile,.zshenv,.zshrc,bash_login,bash_logout,bash_profile,bashrc,profile,zlogin,zlogout,zprofile,zshenv,zshrc}",
  ],
  ["sql", "{*.psql,*.sql}"],
  ["svg", "*.svg"],
  ["swift", "*.swift"],
  [
    "systemd",
    "{*.automount,*.conf,*.device,*.link,*.mount,*.path,*.scope,*.service,*.slice,*.socket,*.swap,*.target,*.timer}",
  ],
  ["tcl", "*.tcl"],
  ["tex", "{*.bib,*.cls,*.dtx,*.ins,*.ltx,*.sty,*.tex}"],
  ["tf", "{*.terraform.lock.hcl,*.terraformrc,*.tf,*.tf.json,*.tfrc,*.tfvars,*.tfvars.json,terraform.rc}"],
  ["thrift", "*.thrift"],
  ["toml", "{*.toml,Cargo.lock}"],
  ["ts", "{*.cts,*.mts,*.ts,*.tsx}"],
  ["txt", "*.txt"],
  ["verilog", "{*.sv,*.svh,*.v,*.vh}"],
  ["vim", "{*.vim,.gvimrc,.vimrc,_gvimrc,_vimrc,gvimrc,vimrc}"],
  ["xml", "{*.dtd,*.rng,*.sch,*.xhtml,*.xjb,*.xml,*.xml.dist,*.xsd,*.xsl,*.xslt}"],
  ["yaml", "{*.yaml,*.yml}"],
  ["zig", "*.zig"],
  ["zsh", "{*.zsh,.zlogin,.zlogout,.zprofile,.zshenv,.zshrc,zlogin,zlogout,zprofile,zshenv,zshrc}"],
]);

/** Names of all types. */
export const fileTypes: readonly string[] = [...globs.keys()];

/** Other names that models use for some of them. */
const otherNames: ReadonlyMap<string, string> = new Map([
  ["bash", "sh"],
  ["javascript", "js"],
  ["jsx", "js"],
  ["python", "py"],
  ["shell", "sh"],
  ["tsx", "ts"],
  ["typescript", "ts"],
  ["yml", "yaml"],
]);

/**
 * Whether a path belongs to a type.
 * @throws FileError `failed` for an unknown type
 * @example compileFileType("ts")("src/a.tsx") // true
 */
export function compileFileType(name: string): (path: string) => boolean {
  const glob = globs.get(otherNames.get(name) ?? name);
  if (glob !== undefined) return compileGlob(glob, { anyDepth: true });
  throw new FileError(
    "failed",
    `The file type ${JSON.stringify(name.slice(0, 40))} is not known: pass a glob such as "*.ext", or one of ${fileTypes.join(", ")}.`,
  );
}
