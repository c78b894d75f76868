/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * report_style.c - how the page looks, and the little script it can do without.
 *
 * The page's policy allows these two texts by their SHA-256 and nothing else. Whoever changes one of them changes its
 * hash below: the test of the page says what it has to be.
 *
 * Colours are those of Okabe and Ito, which colour-blind people tell apart, darkened or lightened until lines
 * stand out from either background; each also has a dash and a mark of its own.
 */
#include "tools/measure/report_parts.h"

/* clang-format off */
const char kbp_page_css[] =
":root{color-scheme:light dark;--bg:#fff;--fg:#1a1d21;--dim:#555e68;--line:#cfd5db;--grid:#e6e9ec;--soft:#f4f6f8;"
"--good:#00664b;--bad:#a33c00;"
"--s0:#0072b2;--s1:#d55e00;--s2:#00805c;--s3:#b2477f;--s4:#8a6100;--s5:#2f8fc4;--s6:#3c4248;--s7:#7d7700}\n"
"@media(prefers-color-scheme:dark){:root{--bg:#14171a;--fg:#e4e7ea;--dim:#a3abb3;--line:#3a4148;--grid:#272c31;"
"--soft:#1c2024;--good:#4fd1a5;--bad:#ff9a57;"
"--s0:#56b4e9;--s1:#ff8b3d;--s2:#2fc79a;--s3:#e293bd;--s4:#e69f00;--s5:#a6d8f5;--s6:#d5d9dd;--s7:#f0e442}}\n"
"*{box-sizing:border-box}\n"
"body{margin:0 auto;max-width:1180px;padding:20px 16px 48px;background:var(--bg);color:var(--fg);"
"font:14px/1.45 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;"
"font-variant-numeric:tabular-nums;overflow-wrap:anywhere}\n"
"h1{font-size:22px;line-height:1.2;margin:0 0 2px}h2{font-size:17px;margin:28px 0 6px;padding-top:10px;"
"border-top:1px solid var(--line)}h3{font-size:14px;margin:16px 0 4px}\n"
"p{margin:6px 0;max-width:78em}.lead{font-size:16px}.dim,small,nav,figcaption{color:var(--dim)}small{font-size:12px}\n"
"a{color:inherit}nav{margin:6px 0 12px}nav a{margin-right:12px}\n"
".scroll{overflow-x:auto;max-width:100%}\n"
"table{border-collapse:collapse;font-size:13px}th,td{padding:4px 9px 4px 0;text-align:left;vertical-align:top;"
"border-bottom:1px solid var(--grid)}thead th{font-weight:600;color:var(--dim);border-bottom-color:var(--line);"
"vertical-align:bottom}tbody th{font-weight:600}.n{text-align:right;white-space:nowrap}"
".scroll th,.scroll td{overflow-wrap:normal}thead .n{white-space:normal}.scroll tbody th{white-space:nowrap}td.wide{min-width:20em}td.some{min-width:13em}abbr{text-decoration:none}\n"
".facts{width:100%;table-layout:fixed}.facts th{width:42%;font-weight:400;color:var(--dim)}\n"
".chip{display:inline-block;padding:0 6px;border:1px solid var(--line);border-radius:9px;font-size:12px;"
"color:var(--dim)}.chip.good{color:var(--good);border-color:currentColor}.chip.bad{color:var(--bad);border-color:currentColor}\n"
".plain,.legend{list-style:none;margin:6px 0;padding:0}.plain li{margin:3px 0}\n"
".legend{display:flex;flex-wrap:wrap;gap:2px 16px;font-size:13px}.legend svg{height:12px;width:auto;margin-right:6px;"
"vertical-align:-1px}.legend .off{opacity:.45;text-decoration:line-through}.legend [role=button]{cursor:pointer}\n"
".two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));gap:0 28px}.two>*{min-width:0}\n"
"figure{margin:12px 0 4px}figcaption{font-size:13px;font-weight:600}figure svg{display:block;width:100%;height:auto}\n"
"figure .w1{min-width:500px;max-width:760px}figure .w2{min-width:820px}\n"
".at{display:block;min-height:18px;font-size:12px;color:var(--dim)}\n"
"svg text{font-size:12px;fill:var(--fg)}svg .tick{font-size:11px;fill:var(--dim)}.mid{text-anchor:middle}.end{text-anchor:end}\n"
".grid,.round,.whisker,.line{fill:none}.grid{stroke:var(--grid)}.round{stroke:var(--line)}.whisker{stroke-width:2.5}"
".line{stroke-width:1.6;stroke-linejoin:round}.few{stroke-width:1;stroke-dasharray:1 3}"
".band{opacity:.22}.dots{stroke:var(--dim);stroke-width:2.6;stroke-linecap:round;fill:none}"
".warmup{fill:var(--grid);opacity:.7}.published{fill:var(--bg);stroke:var(--s1);stroke-width:1.4;stroke-dasharray:3 2}"
".mark{stroke:var(--bg);stroke-width:.25}.out{stroke-width:.15}\n"
".s0{stroke:var(--s0)}.s1{stroke:var(--s1)}.s2{stroke:var(--s2)}.s3{stroke:var(--s3)}"
".s4{stroke:var(--s4)}.s5{stroke:var(--s5)}.s6{stroke:var(--s6)}.s7{stroke:var(--s7)}\n"
".f0{fill:var(--s0)}.f1{fill:var(--s1)}.f2{fill:var(--s2)}.f3{fill:var(--s3)}"
".f4{fill:var(--s4)}.f5{fill:var(--s5)}.f6{fill:var(--s6)}.f7{fill:var(--s7)}\n"
".d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 2}.d3{stroke-dasharray:8 3 2 3}"
".d4{stroke-dasharray:12 3}.d5{stroke-dasharray:4 2}.d6{stroke-dasharray:10 2 2 2 2 2}.d7{stroke-dasharray:3 5}\n"
"dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 14px;margin:6px 0}dt{font-weight:600}dd{margin:0}\n"
"@media(max-width:600px){dl{grid-template-columns:1fr}dd{margin-bottom:4px}.lead{font-size:15px}}\n"
"@media print{body{max-width:none;padding:0}nav,.at{display:none}figure,tr{break-inside:avoid}.scroll{overflow:visible}"
"figure .w1,figure .w2{min-width:0}}\n";

/* Clicking a name of a legend hides its run in the plots; the mark nearest to the pointer is told below a plot. */
const char kbp_page_js[] =
"'use strict';\n"
"for(const li of document.querySelectorAll('.legend [data-run]')){\n"
" li.setAttribute('role','button');li.tabIndex=0;li.setAttribute('aria-pressed','true');\n"
" const flip=()=>{const off=li.getAttribute('aria-pressed')==='true',run=li.dataset.run;\n"
"  for(const l of document.querySelectorAll('.legend [data-run=\"'+run+'\"]')){l.classList.toggle('off',off);"
"l.setAttribute('aria-pressed',String(!off));}\n"
"  for(const e of document.querySelectorAll('figure svg [data-run=\"'+run+'\"]'))e.style.display=off?'none':'';};\n"
" li.addEventListener('click',flip);\n"
" li.addEventListener('keydown',e=>{if(e.key==='Enter'||e.key===' '){e.preventDefault();flip();}});\n"
"}\n"
"for(const fig of document.querySelectorAll('figure')){\n"
" const at=fig.querySelector('.at'),marks=[...fig.querySelectorAll('.mark title,rect title')];\n"
" if(!marks.length)continue;\n"
" fig.querySelector('svg').addEventListener('pointermove',e=>{let best=null,least=900;\n"
"  for(const t of marks){const b=t.parentNode.getBoundingClientRect();if(!b.width)continue;\n"
"   const dx=e.clientX-b.x-b.width/2,dy=e.clientY-b.y-b.height/2,d=dx*dx+dy*dy;\n"
"   if(t.textContent&&d<least){least=d;best=t;}}\n"
"  at.textContent=best?best.textContent:'';});\n"
"}\n";
/* clang-format on */

const char kbp_page_css_hash[] = "sha256-hMOmG6+6Zi5AuY7440s/si65FypenDkXtytPd68e050=";
const char kbp_page_js_hash[] = "sha256-FUPGXcxWrkndPDDMzrIuhvr0afWsSfW+OMdLHRaEMak=";
