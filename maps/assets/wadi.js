'use strict';
/* Draws the page from its one block of data. No request, no clock, no arithmetic on scores:
   what is rounded, classed and said was settled when the page was made. Text enters the page
   as text nodes only. */
function wadi(map, places) {
  const data = JSON.parse(document.getElementById('wadi-data').textContent);
  const root = document.documentElement;
  const byId = (id) => document.getElementById(id);
  const units = data.units;
  const phone = window.matchMedia('(max-width:700px)');
  const narrow = window.matchMedia('(max-width:1099px)');
  const state = {lang: data.langs[0], layer: data.layers[0], place: -1, moved: false, focus: 0};
  const shapes = [];

  /* ---------------------------------------------------------------- words */

  const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, k) => values[k]);
  const t = (key, values) => fill(state.lang.words[key], values || {});

  function n(key, count) {
    const forms = state.lang.words[key].split('|');
    let form = forms.length === 1 ? 0 : count === 1 ? 0 : 1;
    if (forms.length > 1 && state.lang.code === 'ar') {
      const rest = count % 100;
      form = count === 1 || count === 2 ? count - 1 : rest >= 3 && rest <= 10 ? 2 : rest >= 11 ? 3 : 4;
    }
    return fill(forms[form], {n: count});
  }

  // A sentence with one foreign piece in it: the piece keeps its own direction.
  function around(key, name, piece, values) {
    const [before, after] = t(key, Object.assign({[name]: '\u0000'}, values)).split('\u0000');
    return [before, own(piece), after];
  }
  const own = (text) => el('bdi', {}, [document.createTextNode(text)]);

  const here = (texts) => texts[state.lang.code];
  const month = (when, short) => {
    const [year, m] = when.split('-');
    return t('date.month', {month: state.lang.words[(short ? 'month_short.' : 'month.') + Number(m)], year});
  };
  const day = (when) => {
    const [year, m, d] = when.split('-');
    return t('date.day', {day: Number(d), month: state.lang.words[monthKey() + Number(m)], year});
  };
  // Abbreviated Arabic and Kurdish months are for axes alone.
  const monthKey = () => (state.lang.dir === 'ltr' ? 'month_short.' : 'month.');
  const monthText = (when) => month(when, state.lang.dir === 'ltr');
  const thousands = (x) => String(x).replace(/\B(?=(\d{3})+$)/g, ',');
  const tenths = (x) => (x < 0 ? '−' : '') + Math.floor(Math.abs(x) / 10) + '.' + (Math.abs(x) % 10);
  const limit = (x) => String(x).replace('-', '−');
  const status = (code) => data.statuses[code];

  /* ---------------------------------------------------------------- building blocks */

  function put(parent, children) {
    for (const child of [].concat(children)) {
      if (child === null || child === undefined || child === '') continue;
      if (child.nodeType) parent.appendChild(child);
      else prose(parent, String(child));
    }
    return parent;
  }

  // Numbers keep their own direction inside Arabic and Kurdish.
  function prose(parent, text) {
    for (const bit of text.split(/([−+-]?[A-Za-z0-9]+(?:[.,:–-][A-Za-z0-9]+)*)/)) {
      if (!bit) continue;
      if (/\d/.test(bit)) {
        const bdi = document.createElement('bdi');
        bdi.dir = 'ltr';
        bdi.textContent = bit;
        parent.appendChild(bdi);
      } else parent.appendChild(document.createTextNode(bit));
    }
  }

  function el(tag, attributes, children) {
    const node = document.createElement(tag);
    for (const [k, v] of Object.entries(attributes || {})) {
      if (k === 'style') Object.assign(node.style, v);
      else if (v !== null) node.setAttribute(k, v);
    }
    return put(node, children === undefined ? [] : children);
  }

  function svg(tag, attributes, children) {
    const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
    for (const [k, v] of Object.entries(attributes || {})) node.setAttribute(k, v);
    for (const child of children || []) node.appendChild(typeof child === 'string' ? document.createTextNode(child) : child);
    return node;
  }

  function refill(node, children) {
    node.textContent = '';
    return put(node, children);
  }

  const ltr = (text) => el('bdi', {dir: 'ltr'}, [document.createTextNode(text)]);
  const list = (items) => items.join(t('list'));

  /* ---------------------------------------------------------------- names */

  function named(table, i) {
    const code = state.lang.code;
    return {text: table.name[code][i], from: table.name[code + '_from'][i]};
  }
  const name = (i) => named(units, i);
  const parent = (level, i) => named(data.parents[level], units[level][i]);

  function nameNode(found) {
    const node = el('bdi', {}, [document.createTextNode(found.text)]);
    if (found.from) node.lang = found.from;
    return node;
  }

  function layerName(layer) {
    if (layer.label) return here(layer.label);
    return state.lang.words['layer.' + layer.key] || state.lang.words['hazard.' + layer.key];
  }
  const without = () => data.without.map((d) => t('without.' + d)).join(t('list'));
  const fullName = (layer) => (layer.key === 'risk' && data.without.length ? list([layerName(layer), without()]) : layerName(layer));

  /* ---------------------------------------------------------------- what is painted */

  const CONFIDENCE = ['sure', 'fairly_sure', 'unsure'];
  const LEVELS = ['NORMAL', 'WATCH', 'WARNING', 'EMERGENCY'];
  const CLASSES = ['very_low', 'low', 'medium', 'high', 'very_high'];
  const HATCH = {texture: 'na', sort: 'na'};

  const classWord = (layer, k) => {
    if (layer.kind === 'level') return t('alert.' + LEVELS[k]);
    return layer.kind === 'sureness' ? t('sure.' + k) : t('class.' + CLASSES[k]);
  };

  // A value that is not there never meets a class colour: this is the only place that chooses.
  function paint(layer, i) {
    const why = status(layer.status[i]);
    if (layer.kind === 'circles') {
      return layer.value[i] !== null || why === 'suppressed' ? {colour: layer.colours[0], sort: 'c0', k: 0} : HATCH;
    }
    const k = layer.class[i];
    if (k === null) {
      if (layer.kind !== 'level' && why === 'masked_dry_season') return {texture: 'dry', sort: 'dry'};
      return why === 'no_skill' && layer.kind !== 'level' ? {texture: 'ns', sort: 'ns'} : HATCH;
    }
    const colour = layer.colours[k];
    if (why === 'stale') return {colour, k, overlay: 'old', sort: 'old'};
    if (why === 'no_skill') {
      return layer.kind === 'level' && k > 0 ? {colour, k, overlay: 'nso', sort: 'ns'} : {texture: 'ns', sort: 'ns'};
    }
    return {colour, k, sort: 'c' + k};
  }

  const fillOf = (p) => {
    if (p.texture) return 'url(#' + p.texture + ')';
    return p.overlay ? 'url(#' + p.overlay + '-' + p.colour.slice(1).toLowerCase() + ')' : p.colour;
  };
  // Pale classes take a brown line and dark ones a white line, so single shapes stay visible in grey.
  const lineOf = (p) => (p.texture || p.k <= 1 ? '#A39583' : '#FFFFFF');

  function restyle() {
    shapes.forEach((shape, i) => {
      const p = paint(state.layer, i);
      shape.sort = p.sort;
      shape.setStyle({fillColor: fillOf(p), fillOpacity: 1, color: lineOf(p), weight: 0.6, opacity: 1});
      const node = shape.getElement();
      if (node) {
        node.dataset.fill = p.texture || p.sort;
        node.setAttribute('aria-label', describe(i));
      }
    });
  }

  function describe(i) {
    const words = [name(i).text, parent('adm1', i).text, t('alert_short.' + levelName(i))];
    const p = paint(state.layer, i);
    if (state.layer.kind !== 'level') words.push(valueWords(state.layer, i, p));
    return list(words);
  }

  function valueWords(layer, i, p) {
    if (layer.kind === 'circles') return householdsText(i);
    if (p.k === undefined) return t('status_short.' + status(layer.status[i]));
    return layerName(layer) + ' ' + tenths(layer.value[i]) + ' ' + classWord(layer, p.k);
  }

  const levelName = (i) => (units.level[i] < 0 ? 'NO_DATA' : LEVELS[units.level[i]]);

  /* ---------------------------------------------------------------- marks: names, levels, circles */

  map.createPane('lines').style.zIndex = 410;
  map.createPane('rings').style.zIndex = 420;
  map.createPane('chosen').style.zIndex = 430;
  map.createPane('marks').style.zIndex = 450;
  ['lines', 'rings', 'chosen', 'marks'].forEach((p) => (map.getPane(p).style.pointerEvents = 'none'));
  const marks = L.DomUtil.create('div', 'marks', map.getPane('marks'));
  const quiet = (pane, options) => Object.assign({pane, interactive: false}, options);

  const rings = L.layerGroup(), districts = L.layerGroup();
  const circles = data.layers.find((l) => l.kind === 'circles');
  // Area goes with households; on a small map all circles shrink alike, and the legend with them.
  const ringScale = () => Math.max(0.45, Math.min(1, Math.min(map.getSize().x, map.getSize().y) / 640));
  const radius = (households) => Math.max(2, 0.28 * ringScale() * Math.sqrt(households));
  if (circles) {
    const counted = units.pcode.map((_, i) => i).filter((i) => circles.value[i] || status(circles.status[i]) === 'suppressed');
    counted.sort((a, b) => (circles.value[b] || 0) - (circles.value[a] || 0));
    for (const i of counted) {
      const hidden = !circles.value[i];
      rings.addLayer(L.circleMarker(units.at[i], quiet('rings', {
        households: circles.value[i],
        radius: hidden ? 4 : radius(circles.value[i]), color: '#0B3C5D', weight: 1.4,
        dashArray: hidden ? '2 1.6' : null, fillColor: hidden ? '#FFFFFF' : '#0B3C5D', fillOpacity: hidden ? 1 : 0.3,
      })));
    }
  }

  function badge(level, size, ground) {
    const shape = [
      svg('path', {d: 'M12 3l9 9-9 9-9-9z'}), svg('circle', {cx: 12, cy: 12, r: 9.6}),
      svg('path', {d: 'M12 2.2 22.4 21H1.6z'}), svg('path', {d: 'M8 2h8l6 6v8l-6 6H8l-6-6V8z'}),
    ][level];
    const attributes = {fill: ground, stroke: '#1B2530', 'stroke-width': 1.8, 'stroke-linejoin': 'round'};
    for (const [k, v] of Object.entries(attributes)) shape.setAttribute(k, v);
    const drawn = svg('svg', {width: size, height: size, viewBox: '0 0 24 24', 'aria-hidden': 'true'}, [shape]);
    if (level) {
      const ink = ground === '#920122' ? '#FFFFFF' : '#1B2530';
      drawn.appendChild(svg('text', {x: 12, y: level === 2 ? 18.6 : 16.4, 'text-anchor': 'middle', 'font-size': 12.5, 'font-weight': 700, fill: ink}, [String(level)]));
    }
    return drawn;
  }

  function place(node, at, w, h) {
    L.DomUtil.setPosition(node, L.point(Math.round(at.x - w / 2), Math.round(at.y - h / 2)));
  }

  const touches = (a, b) => a[0] < b[2] && b[0] < a[2] && a[1] < b[3] && b[1] < a[3];

  // Names first: the chosen place, then large governorates before small ones; what would touch is dropped.
  function drawMarks() {
    marks.textContent = '';
    const taken = [];
    const tall = map.getSize().y >= 240;
    const candidates = [];
    if (state.place >= 0) {
      const bounds = shapes[state.place].getBounds();
      const a = map.latLngToLayerPoint(bounds.getNorthWest()), b = map.latLngToLayerPoint(bounds.getSouthEast());
      // A small chosen shape is not written over.
      if (b.x - a.x < 140) taken.push([a.x, a.y, b.x, b.y]);
      candidates.push({found: name(state.place), at: [bounds.getNorth(), bounds.getCenter().lng], lift: 11});
    }
    const adm1 = data.parents.adm1;
    const order = adm1.size.map((_, i) => i).sort((a, b) => adm1.size[b] - adm1.size[a]);
    if (tall) for (const i of order) candidates.push({found: named(adm1, i), at: adm1.at[i], lift: 0});
    if (tall && map.getZoom() >= 9) {
      const view = map.getBounds();
      units.at.forEach((at, i) => view.contains(at) && i !== state.place && candidates.push({found: name(i), at, lift: 0}));
    }
    for (const c of candidates) {
      const node = el('span', {class: 'name' + (c.found.from ? ' borrowed' : ''), dir: 'auto'}, [document.createTextNode(c.found.text)]);
      marks.appendChild(node);
      const at = map.latLngToLayerPoint(c.at).subtract([0, c.lift]);
      const w = node.offsetWidth, h = node.offsetHeight;
      const box = [at.x - w / 2 - 3, at.y - h / 2 - 1, at.x + w / 2 + 3, at.y + h / 2 + 1];
      if (taken.some((b) => touches(b, box))) node.remove();
      else {
        taken.push(box);
        place(node, at, w, h);
      }
    }
    drawBadges(taken);
  }

  function drawBadges(taken) {
    const queue = units.pcode.map((_, i) => i);
    if (state.layer.kind === 'level') queue.sort((a, b) => units.level[b] - units.level[a]);
    for (const i of queue) {
      const bounds = shapes[i].getBounds();
      const a = map.latLngToLayerPoint(bounds.getNorthWest()), b = map.latLngToLayerPoint(bounds.getSouthEast());
      const small = Math.min(b.x - a.x, b.y - a.y);
      const unknown = shapes[i].sort === 'na' && small < 14 && small >= 5;
      const level = state.layer.kind === 'level' && units.level[i] > 0 && small >= 26;
      if (!unknown && !level) continue;
      const size = unknown ? 11 : 20;
      const at = map.latLngToLayerPoint(units.at[i]);
      const box = [at.x - size / 2, at.y - size / 2, at.x + size / 2, at.y + size / 2];
      if (taken.some((o) => touches(o, box))) continue;
      taken.push(box);
      const node = el('span', {}, []);
      node.appendChild(unknown ? question(size) : badge(units.level[i], size, '#FFFFFF'));
      marks.appendChild(node);
      place(node, at, size, size);
    }
  }

  const question = (size) => svg('svg', {width: size, height: size, viewBox: '0 0 12 12', 'aria-hidden': 'true'}, [
    svg('circle', {cx: 6, cy: 6, r: 5.3, fill: '#fff', stroke: '#1B2530', 'stroke-width': 1}),
    svg('text', {x: 6, y: 9, 'text-anchor': 'middle', 'font-size': 8.5, 'font-weight': 700, fill: '#1B2530'}, ['?']),
  ]);

  const outline = L.layerGroup().addTo(map);
  const ring = L.layerGroup().addTo(map);

  function edge(group, i, under, over) {
    group.clearLayers();
    if (i < 0) return;
    const at = shapes[i].getLatLngs();
    for (const [color, weight] of [under, over]) group.addLayer(L.polygon(at, quiet('chosen', {fill: false, color, weight, opacity: 1})));
  }

  /* ---------------------------------------------------------------- legend */

  function key(children, bare) {
    const drawn = svg('svg', {viewBox: '0 0 32 18', preserveAspectRatio: 'none', 'aria-hidden': 'true'}, children);
    return el('span', {class: bare ? 'key bare' : 'key'}, [drawn]);
  }
  // A texture is never stretched: its box is drawn at the size it is shown.
  function textureKey(id) {
    const drawn = svg('svg', {width: '100%', height: '100%', 'aria-hidden': 'true'}, [svg('rect', {width: '100%', height: '100%', fill: 'url(#' + id + ')'})]);
    return el('span', {class: 'key'}, [drawn]);
  }

  function row(swatch, word, small, span, sort) {
    const said = el('span', {class: 'word'}, [word]);
    if (small) said.appendChild(el('small', {}, [small]));
    const node = el('li', {tabindex: sort ? 0 : null}, [swatch, said, span ? el('span', {class: 'span'}, [span]) : null]);
    if (sort) {
      const on = () => fade(sort), off = () => fade(null);
      if (window.matchMedia('(hover:hover)').matches) {
        node.addEventListener('mouseenter', () => narrow.matches || on());
        node.addEventListener('mouseleave', off);
      }
      node.addEventListener('focus', on);
      node.addEventListener('blur', off);
    }
    return node;
  }

  function fade(sort) {
    document.body.classList.toggle('faded', sort !== null);
    for (const shape of shapes) shape.getElement().classList.toggle('away', sort !== null && shape.sort !== sort);
  }

  function classRows(layer) {
    return layer.colours.map((colour, k) => {
      const swatch = key([svg('rect', {width: 32, height: 18, fill: colour})]);
      if (layer.kind === 'level' && k) {
        refill(swatch, []).appendChild(el('span', {style: {display: 'flex', justifyContent: 'center', alignItems: 'center', height: '100%', background: colour}}, [badge(k, 15, '#FFFFFF')]));
      }
      const edges = [0].concat(layer.cuts, [10]);
      const span = layer.kind !== 'score' ? null : limit(edges[k]) + '–' + limit(edges[k + 1]);
      const word = layer.kind === 'level' && narrow.matches ? t('alert_short.' + LEVELS[k]) : classWord(layer, k);
      return row(swatch, word, null, span, 'c' + k);
    });
  }

  function missingReasons(layer) {
    const seen = new Set();
    if (layer.kind === 'level') return t('legend.not_assessed_why');
    layer.status.forEach((code, i) => paint(layer, i).sort === 'na' && status(code) !== 'ok' && seen.add(status(code)));
    const words = Array.from(seen).sort().map((s) => t('status_short.' + s));
    return words.length && words.length <= 2 ? list(words) : t('legend.not_assessed_why');
  }

  function patternRows(layer) {
    const seen = new Set(layer.status.map((_, i) => paint(layer, i).sort));
    const old = layer.colours[Math.min(2, layer.colours.length - 1)].slice(1).toLowerCase();
    const rows = [];
    if (seen.has('old')) rows.push(row(textureKey('old-' + old), t('legend.old'), t('legend.old_why'), null, 'old'));
    if (seen.has('ns')) rows.push(row(textureKey('ns'), t('legend.no_outlook'), t('legend.no_outlook_why'), null, 'ns'));
    if (seen.has('dry')) rows.push(row(textureKey('dry'), t('legend.dry'), t('legend.dry_why'), null, 'dry'));
    rows.push(row(textureKey('na'), t('legend.not_assessed'), missingReasons(layer), null, 'na'));
    return rows;
  }

  function circleRows(layer) {
    const nest = svg('svg', {width: 116, height: 46, 'aria-hidden': 'true', direction: 'ltr'});
    for (const [households, y] of [[5000, 12], [1000, 27], [100, 42]]) {
      const r = radius(households);
      nest.appendChild(svg('circle', {cx: 22, cy: 44 - r, r, fill: '#0B3C5D', 'fill-opacity': 0.3, stroke: '#0B3C5D', 'stroke-width': 1.4}));
      nest.appendChild(svg('path', {d: 'M22 ' + (44 - 2 * r) + 'H46L58 ' + (y - 4) + 'h5', fill: 'none', stroke: '#4A5663', 'stroke-width': 0.8}));
      nest.appendChild(svg('text', {x: 66, y, 'font-size': 11.5, fill: '#1B2530'}, [thousands(households)]));
    }
    const dashed = svg('circle', {cx: 16, cy: 9, r: 4, fill: '#fff', stroke: '#0B3C5D', 'stroke-width': 1.4, 'stroke-dasharray': '2 1.6'});
    const bare = el('span', {class: 'key bare'}, [svg('svg', {width: 32, height: 18, 'aria-hidden': 'true'}, [dashed])]);
    return {
      classes: [el('li', {class: 'nest'}, [nest])],
      patterns: [
        row(bare, t('legend.hidden')),
        row(key([svg('rect', {width: 32, height: 18, fill: layer.colours[0]})]), t('legend.none_counted')),
        row(textureKey('na'), t('legend.not_counted'), null, null, 'na'),
      ],
    };
  }

  function drawLegend() {
    const layer = state.layer, box = byId('legend');
    const rows = layer.kind === 'circles' ? circleRows(layer) : {classes: classRows(layer), patterns: patternRows(layer)};
    let title = t('legend.scale', {layer: fullName(layer)});
    if (layer.kind === 'sureness') title = layerName(layer);
    if (layer.kind === 'circles') title = t('legend.households');
    if (layer.kind === 'level') title = list([layerName(layer), monthText(data.asOf)]);
    refill(box.querySelector('h2'), title);
    refill(box.querySelector('.classes'), rows.classes);
    refill(box.querySelector('.patterns'), rows.patterns);
    box.classList.toggle('many', rows.patterns.length > 1);
    box.classList.toggle('circles', layer.kind === 'circles');
    const round = layer.kind === 'circles' && data.sources.find((s) => s.round && s.last);
    refill(box.querySelector('.foot'), round ? t('legend.counted', {month: round.last.length > 4 ? monthText(round.last) : round.last}) : '');
  }

  /* ---------------------------------------------------------------- rail */

  function swatch(layer) {
    if (layer.kind === 'circles') {
      const dots = [[4, 3], [12, 4.5], [23, 6]].map(([cx, r]) => svg('circle', {cx, cy: 7, r, fill: '#0B3C5D', 'fill-opacity': 0.25, stroke: '#0B3C5D'}));
      return el('span', {class: 'swatch round'}, [svg('svg', {width: 30, height: 14, 'aria-hidden': 'true'}, dots)]);
    }
    return el('span', {class: 'swatch'}, layer.colours.map((c) => el('i', {style: {background: c}})));
  }

  const empty = (layer) => layer.kind !== 'level' && layer.value.every((v, i) => v === null && status(layer.status[i]) !== 'suppressed');

  function drawRail() {
    const box = byId('layers');
    refill(box, []);
    let group = null;
    for (const layer of data.layers) {
      if (group !== null && layer.group !== group) box.appendChild(el('hr'));
      group = layer.group;
      const words = el('span', {}, [layerName(layer)]);
      if (layer.key === 'risk' && data.without.length) words.appendChild(el('small', {}, [without()]));
      const none = empty(layer);
      if (none) words.appendChild(el('small', {}, [t('rail.absent') + ': ' + t('status_short.' + status(layer.status[0]))]));
      const chosen = layer === state.layer;
      const button = el('button', {type: 'button', role: 'radio', 'aria-checked': chosen, 'aria-disabled': none ? 'true' : null, tabindex: chosen ? 0 : -1, 'data-layer': layer.key}, [swatch(layer), words]);
      button.addEventListener('click', () => none || show(layer));
      box.appendChild(button);
    }
    const absent = byId('absent');
    refill(absent, []);
    absent.hidden = !data.absent.length;
    if (!data.absent.length) return;
    absent.appendChild(el('h3', {}, [t('rail.absent')]));
    absent.appendChild(el('ul', {style: {listStyle: 'none'}}, data.absent.map((a) =>
      el('li', {'data-hazard': a.key}, [hazardName(a) + ': ', el('small', {}, [a.why && here(a.why) ? here(a.why) : t('status.input_missing')])]))));
  }

  const hazardName = (a) => (a.label ? here(a.label) : state.lang.words['hazard.' + a.key] || a.key);

  byId('layers').addEventListener('keydown', (e) => {
    const step = {ArrowDown: 1, ArrowUp: -1}[e.key];
    if (!step) return;
    e.preventDefault();
    const open = data.layers.filter((l) => !empty(l));
    show(open[(open.indexOf(state.layer) + step + open.length) % open.length]);
    byId('layers').querySelector('[aria-checked=true]').focus();
  });

  /* ---------------------------------------------------------------- bar */

  function dateNodes() {
    const age = el('span', {title: t('bar.age_help')}, [el('b', {}, [t('bar.age', {days: n('days', data.age)})])]);
    return [t('bar.data') + ' ', el('b', {}, [monthText(data.asOf)]), ' · ' + t('bar.issued') + ' ', el('b', {}, [day(data.issued)]), ' · ', age].concat(data.sources.some((s) => s.old) ? [' · ', el('b', {}, [t('bar.old')])] : []);
  }

  function drawBar() {
    refill(byId('purpose'), t('purpose', {country: here(data.country)}));
    refill(byId('dates'), dateNodes());
    refill(byId('layer-now').querySelector('b'), layerName(state.layer));
    refill(byId('layer-now').querySelector('small'), state.layer.key === 'risk' ? without() : '');
    refill(byId('layer-now').querySelector('.dates'), dateNodes());
    refill(byId('lang-open'), {en: 'ع/ک', ar: 'EN', ckb: 'EN'}[state.lang.code] || state.lang.name);
    refill(byId('langs'), data.langs.map((l) => {
      const button = el('button', {type: 'button', lang: l.code, 'aria-pressed': l === state.lang, 'data-lang': l.code}, [l.name]);
      button.addEventListener('click', () => speak(l));
      return button;
    }));
    const flags = [data.exercise ? t('banner.exercise') : '', data.synthetic ? t('banner.synthetic') : '', state.lang.draft ? t('banner.draft') : ''].filter(Boolean);
    document.title = flags.concat([t('brand') + ' · ' + fullName(state.layer), here(data.country), monthText(data.asOf)]).join(' · ');
  }

  function drawBanners() {
    for (const node of document.querySelectorAll('#banners .draft')) node.remove();
    const box = byId('banners');
    const plain = box.querySelector('.plain');
    if (plain) plain.remove();
    if (state.lang.draft) {
      if (!box.children.length) box.appendChild(el('div', {class: 'plain'}));
      box.lastElementChild.appendChild(el('span', {class: 'draft'}, [t('banner.draft')]));
    }
    document.body.classList.toggle('exercise-on', data.exercise);
    watermark();
  }

  function watermark() {
    const said = data.exercise ? t('banner.exercise') : data.synthetic ? t('banner.synthetic') : '';
    if (!said) return;
    const drawn = svg('svg', {xmlns: 'http://www.w3.org/2000/svg', width: 300, height: 190}, [
      svg('text', {x: 150, y: 104, 'text-anchor': 'middle', transform: 'rotate(-24 150 95)', 'font-size': 30, 'font-weight': 700,
        'font-family': '"Segoe UI",Roboto,"Noto Sans","Noto Sans Arabic",Arial,sans-serif', 'letter-spacing': state.lang.dir === 'ltr' ? 4 : 0,
        fill: data.exercise ? '#1B2530' : '#5B2A86', 'fill-opacity': 0.17}, [said]),
    ]);
    byId('watermark').style.backgroundImage = 'url("data:image/svg+xml,' + encodeURIComponent(new XMLSerializer().serializeToString(drawn)) + '")';
  }

  /* ---------------------------------------------------------------- panel */

  function householdsText(i) {
    const households = units.households[i];
    if (status(units.householdsStatus[i]) === 'suppressed') return t('panel.few');
    if (households === null) return t('panel.not_counted');
    if (households === 0) return t('panel.none');
    if (units.people[i] === null) return t('panel.households_only', {households: thousands(households)});
    return t('panel.households', {households: thousands(households), people: thousands(units.people[i])});
  }

  const lines = (text) => text.split('\n');

  function levelBox(i) {
    const level = units.level[i], colours = levelColours();
    const todo = el('ul', {}, lines(t('do.' + levelName(i))).map((s) => el('li', {}, [s])));
    const reason = here(data.reasons.text)[data.reasons.of[i]];
    const basis = units.basis[i] && level >= 0 ? t('basis.' + units.basis[i]) : '';
    const rest = [el('p', {class: 'reason'}, [reason ? reason + ' ' + basis : basis]), el('h3', {}, [t('panel.what_to_do')]), todo, el('p', {class: 'first'}, [t('do.first')])];
    if (level < 0) return unknownBox('level', [el('b', {}, [layerNameOf('alert') + ': ' + t('alert.NO_DATA')])].concat(rest));
    const head = el('div', {class: 'head'}, [badge(level, 26, colours[level]), el('b', {}, [t('alert.' + LEVELS[level])])]);
    if (level) head.appendChild(el('span', {}, [t('panel.level_of', {n: level})]));
    const box = el('div', {class: 'box level', 'data-level': level}, [head].concat(rest));
    box.style.borderInlineStartColor = level ? colours[level] : '#8A949E';
    return box;
  }

  const layerOf = (which) => data.layers.find((l) => l.key === which);
  const layerNameOf = (which) => state.lang.words['layer.' + which];
  const levelColours = () => data.layers.find((l) => l.kind === 'level').colours;

  function unknownBox(kind, children) {
    const hatch = svg('svg', {class: 'hatch', 'aria-hidden': 'true'}, [svg('rect', {width: '100%', height: '100%', fill: 'url(#na)'})]);
    return el('div', {class: 'box unknown ' + kind}, [hatch, el('div', {}, children)]);
  }

  function scoreNodes(i, risk) {
    const p = paint(risk, i);
    if (p.k === undefined) return [noScore(risk, i)];
    const chip = el('span', {class: 'class', style: {background: p.colour, color: risk.inks[p.k] === 'w' ? '#FFFFFF' : '#1B2530'}}, [classWord(risk, p.k)]);
    const group = groupNode(i);
    const old = p.overlay === 'old' ? el('span', {class: 'chip'}, [t('panel.old_data')]) : null;
    const words = el('div', {}, [el('b', {class: 'what'}, [fullName(risk)]), chip, ' ', old, group]);
    const big = [el('span', {class: 'big'}, [tenths(risk.value[i])]), el('span', {class: 'of'}, [t('panel.of_ten')])];
    return [el('div', {class: 'score'}, big.concat([words]))].concat(rangeNodes(i, risk));
  }

  // The group, and how sure it is: three words, by a declared rule.
  function groupNode(i) {
    if (!units.tier[i]) return null;
    const sure = units.confidence[i] === null ? '' : ' ' + t('confidence.' + CONFIDENCE[units.confidence[i]]);
    return el('small', {}, [t('tier.' + units.tier[i], {country: here(data.country)}) + '.' + sure]);
  }

  // A place that lacks one part has a range, and a class only where the whole range lies in it.
  function weakScore(layer, i) {
    const word = units.ranged[i] < 0 ? null : el('p', {}, [t('panel.weak_class', {class: classWord(layer, units.ranged[i])})]);
    return unknownBox('score-unknown', [
      el('b', {}, [fullName(layer)]),
      el('p', {class: 'likely'}, [t('panel.weak', {low: tenths(units.low[i]), high: tenths(units.high[i])})]), word,
      el('p', {class: 'help'}, [t('panel.weak_why')]), groupNode(i),
    ]);
  }

  function noScore(layer, i) {
    if (units.ranged[i] !== null && units.low[i] !== null) return weakScore(layer, i);
    const why = status(layer.status[i]);
    const needed = state.lang.words['needed.' + why];
    return unknownBox('score-unknown', [el('b', {}, [fullName(layer) + ': ' + t('panel.not_assessed')]), el('p', {}, [t('status.' + why)]), needed ? el('p', {class: 'help'}, [needed]) : null]);
  }

  const percent = (x) => x + '%';

  function rangeNodes(i, risk) {
    if (units.low[i] === null || units.high[i] === null) return [el('p', {class: 'help'}, [t('panel.no_range')])];
    const edges = [0].concat(risk.cuts, [10]);
    const bands = el('div', {class: 'bands'}, risk.colours.map((c, k) => el('i', {style: {background: c, width: percent((edges[k + 1] - edges[k]) * 10)}})));
    const fork = el('div', {class: 'fork', style: {insetInlineStart: percent(units.low[i]), width: percent(units.high[i] - units.low[i])}});
    const dot = el('div', {class: 'dot', style: {insetInlineStart: percent(risk.value[i])}});
    return [
      el('div', {class: 'range', 'aria-hidden': 'true'}, [bands, fork, dot]),
      el('p', {class: 'likely'}, [t('panel.range', {low: tenths(units.low[i]), high: tenths(units.high[i])})]),
    ];
  }

  const partName = (part) => {
    if (part === 'reference') return t('panel.start');
    if (data.parts.label[part]) return here(data.parts.label[part]);
    return state.lang.words['hazard.' + part] || state.lang.words['dimension.' + part] || t('panel.other');
  };

  // Each bar starts where the last ended; a part that lowers the score is drawn hollow.
  function whyNodes(i, risk) {
    const parts = data.parts.rows[i];
    if (!parts || risk.value[i] === null) return [];
    const grid = el('div', {class: 'why'}, []);
    let sum = 0;
    parts.forEach((part, k) => {
      if (part === null) {  // nobody knows, which is not a 0
        grid.appendChild(el('span', {}, [partName(data.parts.key[k])]));
        grid.appendChild(el('span', {class: 'none', 'data-part': data.parts.key[k]}, [t('panel.not_assessed')]));
        return;
      }
      const from = Math.min(sum, sum + part), first = data.parts.key[k] === 'reference';
      sum += part;
      const bar = el('div', {class: part < 0 ? 'bar down' : 'bar', style: {insetInlineStart: percent(Math.max(0, from)), width: percent(Math.abs(part))}});
      const sign = part > 0 && !first ? '+' : '';
      grid.appendChild(el('span', {}, [partName(data.parts.key[k])]));
      grid.appendChild(el('div', {class: 'track'}, [bar]));
      grid.appendChild(el('span', {class: 'v', 'data-part': data.parts.key[k]}, [ltr(sign + tenths(part))]));
    });
    const total = el('div', {class: 'bar', style: {insetInlineStart: 0, width: percent(risk.value[i]), background: paint(risk, i).colour}});
    grid.appendChild(el('span', {class: 'total'}, [t('panel.total', {score: layerName(risk)})]));
    const track = el('div', {class: 'track total'}, [total]);
    grid.appendChild(track);
    grid.appendChild(el('span', {class: 'v total'}, [ltr(tenths(risk.value[i]))]));
    return [el('h3', {}, [t('panel.why')]), grid];
  }

  // The smallest change of one part alone that moves the place one class; it was verified by applying it.
  function changeNodes(i) {
    const said = ['up', 'down'].map((way) => {
      const change = units.change[way][i];
      if (!change) return null;
      if (change === 'none') return el('p', {class: 'help'}, [way === 'up' ? t('change.none_up') : t('change.none_down')]);
      const words = {part: partName(change[0]), now: tenths(change[1]), to: tenths(change[2])};
      return el('p', {class: 'help', 'data-change': way}, [way === 'up' ? t('change.up', words) : t('change.down', words)]);
    }).filter((node) => node);
    return said.length ? [el('h3', {}, [t('change.title')])].concat(said) : [];
  }

  /* Time runs from left to right in every language. */
  function chartNodes(i, width) {
    const h = data.history, row = h.rows[i], months = h.months.length;
    const scale = h.scale ? h.scale[i] : null;
    const threshold = tenths(h.threshold).replace(/\.0$/, '');
    const title = scale ? t('chart.title', {months: n('months', scale)}) : t('chart.title_plain');
    const help = scale ? t('chart.help', {n: scale, threshold}) : t('chart.help_plain', {threshold});
    const head = [el('h3', {}, [title])];
    if (!months || (row.every((v) => v === null) && !h.dry[i].length)) return head.concat([el('p', {class: 'help'}, [t('chart.none')])]);
    const old = h.old[i].length ? el('p', {class: 'help'}, [el('span', {class: 'hollow'}), ' ' + t('chart.old')]) : null;
    return head.concat([el('p', {class: 'help'}, [help]), chart(i, width, row, h), old]);
  }

  const ruler = document.createElement('canvas').getContext('2d');
  function textWidth(text, bold) {
    ruler.font = (bold ? '700 ' : '') + '11.5px ' + getComputedStyle(document.body).fontFamily;
    return Math.ceil(ruler.measureText(text).width);
  }

  function label(x, y, text, anchor, more) {
    // In a right-to-left text "start" is its right edge, so the anchor is turned round.
    const rtl = state.lang.dir === 'rtl' && /[؀-ۿ]/.test(text);
    const turned = {start: 'end', end: 'start', middle: 'middle'}[anchor];
    return svg('text', Object.assign({x, y, direction: rtl ? 'rtl' : 'ltr', 'text-anchor': rtl ? turned : anchor}, more), [text]);
  }

  function chart(i, width, row, h) {
    const low = Math.min(-20, ...row), high = Math.max(10, ...row);
    const left = 24, right = width - textWidth(t('chart.threshold')) - 8, top = 3, bottom = 56;
    const y = (v) => top + ((high - v) / (high - low)) * (bottom - top);
    const step = (right - left) / h.months.length, zero = y(0), edgeY = y(h.threshold);
    const drawn = [svg('rect', {x: left, y: edgeY, width: right - left, height: Math.max(0, bottom - edgeY), fill: '#F8F3E7'})];
    const dry = new Set(h.dry[i]);
    row.forEach((v, m) => {
      const x = left + m * step;
      if (dry.has(m)) drawn.push(svg('rect', {x, y: top, width: step + 0.4, height: bottom - top, fill: 'url(#dry)'}));
      else if (v !== null) {
        const colour = v > 0 ? '#6496BD' : v <= h.threshold ? '#845718' : '#B9AF9C';
        // A value carried on because nothing newer came is hollow.
        const carried = h.old[i].includes(m) ? {fill: '#FFFFFF', stroke: colour, 'stroke-width': 1.2} : {fill: colour};
        drawn.push(svg('rect', Object.assign({x: x + 0.7, y: Math.min(zero, y(v)), width: Math.max(1, step - 1.4), height: Math.max(1, Math.abs(y(v) - zero))}, carried)));
      }
    });
    drawn.push(svg('path', {d: 'M' + left + ' ' + zero + 'H' + right, stroke: '#1B2530', 'stroke-width': 1}));
    drawn.push(svg('path', {d: 'M' + left + ' ' + edgeY + 'H' + (right + 3), stroke: '#462A07', 'stroke-width': 1.5, 'stroke-dasharray': '5 3'}));
    drawn.push(label(left - 4, zero + 4, '0', 'end'), label(left - 4, edgeY + 4, tenths(h.threshold).replace(/\.0$/, ''), 'end'));
    drawn.push(label(right + 6, edgeY + 4, t('chart.threshold'), 'start', {style: 'fill:#462A07'}));
    drawn.push.apply(drawn, axis(left, right, width, dry.size > 0));
    const first = monthText(h.months[0]), last = monthText(h.months[h.months.length - 1]);
    const latest = row[row.length - 1];
    const value = latest === null ? t('status_short.' + (dry.has(row.length - 1) ? 'masked_dry_season' : 'insufficient_data')) : tenths(latest);
    return svg('svg', {class: 'chart', direction: 'ltr', width, height: 74, viewBox: '0 0 ' + width + ' 74', role: 'img', 'aria-label': t('chart.label', {first, last, value})}, drawn);
  }

  function axis(left, right, width, dry) {
    const months = data.history.months, first = month(months[0], true), last = month(months[months.length - 1], true);
    const drawn = [label(left, 70, first, 'start')];
    const wLast = textWidth(last, true), wFirst = textWidth(first);
    const words = t('chart.dry'), w = dry ? textWidth(words) + 20 : 0;
    // The key stands between the dates; where it is long the last date gives way into the gutter.
    const end = Math.min(width, Math.max(right, left + wFirst + w + wLast + 14));
    drawn.push(label(end, 70, last, 'end', {style: 'fill:#1B2530;font-weight:700'}));
    const from = left + wFirst + 7, to = end - wLast - 7;
    const x = from + (to - from - w) / 2;
    if (dry && to - from >= w) {
      drawn.push(svg('rect', {x, y: 61, width: 16, height: 10, fill: 'url(#dry)', stroke: '#8A949E', 'stroke-width': 0.8}));
      drawn.push(label(x + 20, 70, words, 'start'));
    }
    return drawn;
  }

  function unknownNodes(i) {
    const said = [], sure = data.layers.find((l) => l.kind === 'sureness');
    if (sure && sure.class[i] !== null) said.push(t('panel.sure', {words: classWord(sure, sure.class[i])}) + '.');
    if (units.hazardsKnown[i] !== null && units.hazardsKnown[i] < units.hazardsDeclared[i]) {
      said.push(t('unknown.hazards', {known: units.hazardsKnown[i], declared: units.hazardsDeclared[i]}));
    }
    for (const layer of data.layers) {
      const why = status(layer.status[i]);
      if (layer.kind === 'level' || layer.key === 'risk' || why === 'ok') continue;
      said.push(layerName(layer) + ': ' + t('status_short.' + why) + '.');
    }
    if (data.absent.length) said.push(t('unknown.no_source', {hazards: list(data.absent.map(hazardName))}));
    for (const d of data.without) said.push(t('dimension.' + d) + ': ' + t('status_short.input_missing') + '.');
    said.push(...(here(data.notes) || []));
    if (!said.length) said.push(t('unknown.nothing'));
    return el('div', {}, [el('h3', {}, [t('unknown.title')])].concat(said.map((s) => el('p', {}, [s]))));
  }

  function sourceLine(s) {
    const when = s.last ? t('dates.to', {month: s.last.length > 4 ? monthText(s.last) : s.last}) : s.edition || t('dates.none');
    const age = s.age !== null && s.age > 0 ? t('list') + t('dates.age', {days: n('days', s.age)}) : '';
    const said = [here(s.label) + ': ', s.last ? when : own(when), age + '. ', s.old ? oldChip() : null];
    return el('p', {class: s.old ? 'old' : null}, said);
  }

  const oldChip = () => {
    const texture = svg('svg', {width: 14, height: 10, 'aria-hidden': 'true'}, [svg('rect', {width: 14, height: 10, fill: 'url(#old-f7f3ec)'})]);
    return el('span', {class: 'chip'}, [texture, ' ' + t('panel.old_data')]);
  };

  function creditNodes() {
    const credits = data.sources.map((s) => s.attribution + ' (' + s.licence + ')');
    return el('div', {class: 'small'}, [
      el('p', {}, credits.map((c) => el('span', {}, [own(c), '. ']))),
      el('p', {}, [t('dates.factor', {n: data.factor}) + ' ' + t('sources.boundaries')]),
    ]);
  }

  // All that the lowest stop of the sheet has room for.
  function peekLine(i, risk) {
    const level = units.level[i], p = paint(risk, i);
    const mark = level < 0 ? question(20) : badge(level, 20, levelColours()[level]);
    const score = p.k === undefined ? t('panel.not_assessed') : tenths(risk.value[i]) + ' ' + classWord(risk, p.k);
    return el('p', {class: 'peek'}, [mark, el('span', {}, [t('alert_short.' + levelName(i)) + ' · ' + layerName(risk) + ': ' + score])]);
  }

  function panelNodes(i) {
    const risk = layerOf('risk');
    const found = name(i), width = Math.max(260, byId('panel-body').clientWidth);
    const marker = found.from ? el('span', {class: 'chip'}, [t('panel.name_fallback', {language: data.langs.find((l) => l.code === found.from).name})]) : null;
    const residents = units.residents[i] === null ? t('panel.unknown') : t('panel.residents', {n: thousands(units.residents[i])});
    const parents = t('panel.district', {district: parent('adm2', i).text, governorate: parent('adm1', i).text});
    return [
      el('h2', {id: 'panel-name', tabindex: -1}, [nameNode(found), ' ', marker]),
      el('p', {class: 'parents'}, [document.createTextNode(parents), ' · ', ltr(units.pcode[i])]),
      peekLine(i, risk),
      levelBox(i),
    ].concat(scoreNodes(i, risk), [
      el('p', {class: 'people'}, [t('panel.people', {idp: householdsText(i), residents})]),
    ], whyNodes(i, risk), changeNodes(i), chartNodes(i, width), [
      el('div', {class: 'two'}, [unknownNodes(i), el('div', {}, [el('h3', {}, [t('dates.title')])].concat(data.sources.map(sourceLine)))]),
      creditNodes(),
    ]);
  }

  function drawPanel() {
    const open = state.place >= 0;
    byId('panel').hidden = !open;
    document.body.classList.toggle('open', open);
    refill(byId('panel-body'), open ? panelNodes(state.place) : []);
    edge(outline, state.place, ['#FFFFFF', 6], ['#0A0F14', 3]);
  }

  function openPlace(i, byKey) {
    state.place = i;
    state.focus = i;
    closeRail();
    drawPanel();
    byId('panel').scrollTop = 0;
    setSheet('half');
    map.invalidateSize({pan: false});
    reveal(i);
    drawMarks();
    remember();
    if (byKey) byId('panel-name').focus();
  }

  function closePlace() {
    const last = state.place;
    state.place = -1;
    drawPanel();
    map.invalidateSize({pan: false});
    drawMarks();
    remember();
    if (last >= 0 && shapes[last].getElement()) shapes[last].getElement().focus({preventScroll: true});
  }

  // The chosen place stays in sight, above the sheet on a phone.
  function reveal(i) {
    if (!phone.matches) {
      if (!state.moved) frame();
      else map.panInside(units.at[i], {padding: [60, 60], animate: false});
      return;
    }
    const bounds = shapes[i].getBounds();
    const zoom = Math.max(map.getZoom(), Math.min(map.getBoundsZoom(bounds.pad(1.2)), state.fit + 2));
    state.busy = true;
    map.setView(bounds.getCenter(), zoom, {animate: false});
    const covered = Math.max(0, map.getContainer().getBoundingClientRect().bottom - (window.innerHeight - sheetHeight('half')));
    map.panBy([0, covered / 2], {animate: false});
    state.busy = false;
  }

  /* ---------------------------------------------------------------- sheet: three stops, by button or by dragging */

  const STOPS = ['peek', 'half', 'full'];
  const sheetHeight = (stop) => {
    const under = byId('banners').getBoundingClientRect().bottom;
    const full = window.innerHeight - under - 4;
    return {peek: 130, half: Math.min(416, Math.max(200, full - 250)), full}[stop];
  };
  function setSheet(stop) {
    state.stop = stop;
    document.body.dataset.stop = stop;
    document.body.style.setProperty('--sheet', sheetHeight(stop) + 'px');
  }
  let drag = null;
  const handle = byId('handle');
  handle.addEventListener('pointerdown', (e) => {
    drag = {y: e.clientY, height: byId('panel').offsetHeight, far: false};
    handle.setPointerCapture(e.pointerId);
  });
  handle.addEventListener('pointermove', (e) => {
    if (!drag) return;
    const height = drag.height + drag.y - e.clientY;
    drag.far = drag.far || Math.abs(e.clientY - drag.y) > 6;
    document.body.style.setProperty('--sheet', Math.max(90, Math.min(sheetHeight('full'), height)) + 'px');
  });
  handle.addEventListener('pointerup', () => {
    const far = drag && drag.far, height = byId('panel').offsetHeight;
    drag = null;
    if (far) setSheet(STOPS.reduce((a, b) => (Math.abs(sheetHeight(b) - height) < Math.abs(sheetHeight(a) - height) ? b : a)));
    else setSheet(STOPS[(STOPS.indexOf(state.stop) + 1) % 3]);
  });
  handle.addEventListener('keydown', (e) => {
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      setSheet(STOPS[(STOPS.indexOf(state.stop) + 1) % 3]);
    }
  });

  /* ---------------------------------------------------------------- table and sources */

  function drawTable() {
    const risk = layerOf('risk');
    for (const th of byId('table').querySelectorAll('thead th')) refill(th, th.dataset.head === 'score' ? fullName(risk) : t('table.' + th.dataset.head));
    for (const tr of byId('table').querySelectorAll('tbody tr')) {
      if (tr.className === 'level') {
        refill(tr.cells[0], t('alert.' + tr.dataset.level));
        continue;
      }
      tableRow(tr, Number(tr.dataset.unit), risk);
    }
  }

  function tableRow(tr, i, risk) {
    const p = paint(risk, i);
    const cells = [
      nameNode(name(i)), list([parent('adm2', i).text, parent('adm1', i).text]), ltr(units.pcode[i]), t('alert_short.' + levelName(i)),
      p.k === undefined ? t('status_short.' + status(risk.status[i])) : tenths(risk.value[i]) + ' ' + classWord(risk, p.k),
      units.low[i] === null ? '' : tenths(units.low[i]) + '–' + tenths(units.high[i]),
      units.tier[i] ? t('tier_short.' + units.tier[i]) : '',
      householdsText(i), here(data.reasons.text)[data.reasons.of[i]],
    ];
    cells.forEach((c, k) => refill(tr.cells[k], [c]));
  }

  function drawSources() {
    const items = data.sources.map((s) => {
      const node = el('li', {}, [sourceLine(s)]);
      put(node, [el('p', {class: 'help'}, [own(s.attribution), '. '].concat(around('sources.licence', 'licence', s.licence)))]);
      if (here(s.note)) put(node, [el('p', {class: 'help', dir: 'auto'}, [here(s.note)])]);
      return node;
    });
    const cuts = data.layers.filter((l) => l.cuts.length).map((l) =>
      el('p', {}, around('sources.cuts', 'origin', here(l.origin), {layer: layerName(l), cuts: list(l.cuts.map(limit))})));
    refill(byId('sources').querySelector('.body'), [el('ul', {style: {listStyle: 'none'}}, items)].concat(cuts, [
      el('p', {}, [t('dates.factor', {n: data.factor}) + ' ' + t('bar.age_help')]), el('p', {}, [t('sources.boundaries')]),
      el('p', {class: 'help'}, around('sources.made', 'run', data.run, {version: data.version})),
    ]));
  }

  function cover(id, open, opener) {
    closeRail();
    if (id === 'twin') {
      if (open) drawTable();
      byId('twin').classList.toggle('shown', open);
    } else byId('sources').hidden = !open;
    const target = open ? byId(id).querySelector('.close') : opener;
    if (target) target.focus();
  }
  byId('table-open').addEventListener('click', () => cover('twin', true));
  byId('sources-open').addEventListener('click', () => cover('sources', true));
  byId('twin').querySelector('.close').addEventListener('click', () => cover('twin', false, byId('table-open')));
  byId('sources').querySelector('.close').addEventListener('click', () => cover('sources', false, byId('sources-open')));

  /* ---------------------------------------------------------------- language, layer, memory */

  const openRail = () => {
    document.body.classList.add('choosing');
    byId('layers').querySelector('[aria-checked=true]').focus();
  };
  const closeRail = () => document.body.classList.remove('choosing');
  byId('layers-open').addEventListener('click', openRail);
  byId('layer-now').addEventListener('click', openRail);
  byId('rail-close').addEventListener('click', closeRail);
  byId('lang-open').addEventListener('click', () => {
    const shown = byId('langs').classList.toggle('shown');
    byId('lang-open').setAttribute('aria-expanded', shown);
  });

  function show(layer) {
    state.layer = layer;
    if (layer.kind === 'circles') rings.addTo(map);
    else rings.remove();
    fade(null);
    restyle();
    drawRail();
    drawLegend();
    drawBar();
    drawMarks();
    closeRail();
    remember();
  }

  let zoomer = null, scale = null;
  const Scale = L.Control.Scale.extend({
    _updateScale(node, text, ratio) {
      const unit = text.endsWith('km') ? t('map.km') : t('map.m');
      L.Control.Scale.prototype._updateScale.call(this, node, parseInt(text, 10) + ' ' + unit, ratio);
    },
  });
  function controls() {
    if (zoomer) zoomer.remove();
    if (scale) scale.remove();
    const rtl = state.lang.dir === 'rtl';
    zoomer = L.control.zoom({position: rtl ? 'topright' : 'topleft', zoomInTitle: t('map.zoom_in'), zoomOutTitle: t('map.zoom_out')}).addTo(map);
    scale = new Scale({imperial: false, position: rtl ? 'bottomright' : 'bottomleft'}).addTo(map);
  }

  function speak(lang) {
    state.lang = lang;
    root.lang = lang.code;
    root.dir = lang.dir;
    byId('langs').classList.remove('shown');
    byId('lang-open').setAttribute('aria-expanded', 'false');
    for (const node of document.querySelectorAll('[data-t]')) refill(node, lang.words[node.dataset.t]);
    for (const node of document.querySelectorAll('[data-t-label]')) node.setAttribute('aria-label', lang.words[node.dataset.tLabel]);
    map.getContainer().setAttribute('aria-label', t('map.label', {country: here(data.country)}));
    drawBanners();
    drawBar();
    drawRail();
    drawLegend();
    restyle();
    controls();
    drawPanel();
    drawSources();
    if (byId('twin').classList.contains('shown')) drawTable();
    map.invalidateSize({pan: false});
    drawMarks();
    remember();
  }

  // A file opened from a card or in a locked-down browser may have no memory: then it just forgets.
  function remember() {
    if (!state.ready) return;
    const place = state.place >= 0 ? '&place=' + encodeURIComponent(units.pcode[state.place]) : '';
    try {
      window.history.replaceState(null, '', '#lang=' + state.lang.code + '&layer=' + encodeURIComponent(state.layer.key) + place);
      window.localStorage.setItem('wadi.lang', state.lang.code);
    } catch (refused) {
      state.forgetful = true;
    }
  }

  function recall() {
    const held = {};
    for (const pair of window.location.hash.slice(1).split('&')) {
      const [k, v] = pair.split('=');
      try {
        held[k] = decodeURIComponent(v || '');
      } catch (malformed) {
        held[k] = '';
      }
    }
    try {
      held.lang = held.lang || window.localStorage.getItem('wadi.lang');
    } catch (refused) {
      state.forgetful = true;
    }
    return held;
  }

  /* ---------------------------------------------------------------- keyboard on the map */

  const TURN = {ArrowUp: [0, -1], ArrowDown: [0, 1], ArrowLeft: [-1, 0], ArrowRight: [1, 0]};

  function neighbour(i, [dx, dy]) {
    const from = map.latLngToLayerPoint(units.at[i]);
    let best = -1, least = Infinity;
    units.at.forEach((at, j) => {
      if (j === i) return;
      const to = map.latLngToLayerPoint(at).subtract(from);
      const along = to.x * dx + to.y * dy, across = Math.abs(to.x * dy) + Math.abs(to.y * dx);
      const cost = along + 2 * across;
      if (along > 1 && across <= along * 1.5 && cost < least) [best, least] = [j, cost];
    });
    return best;
  }

  function focusShape(i) {
    shapes[state.focus].getElement().setAttribute('tabindex', -1);
    state.focus = i;
    const node = shapes[i].getElement();
    node.setAttribute('tabindex', 0);
    node.focus({preventScroll: true});
    map.panInside(units.at[i], {padding: [30, 30], animate: false});
  }

  function onKey(e, i) {
    if (e.key === 'Enter' || e.key === ' ') {
      e.preventDefault();
      openPlace(i, true);
    } else if (TURN[e.key]) {
      e.preventDefault();
      const next = neighbour(i, TURN[e.key]);
      if (next >= 0) focusShape(next);
    }
  }

  function listen(shape, i) {
    const node = shape.getElement();
    node.setAttribute('tabindex', i === 0 ? 0 : -1);
    node.setAttribute('role', 'button');
    node.dataset.pcode = units.pcode[i];
    shape.on('click', () => openPlace(i, false));
    node.addEventListener('keydown', (e) => onKey(e, i));
    node.addEventListener('focus', () => {
      shapes[state.focus].getElement().setAttribute('tabindex', -1);
      state.focus = i;
      node.setAttribute('tabindex', 0);
      if (node.matches(':focus-visible')) edge(ring, i, ['#FFFFFF', 8], ['#0B57A4', 4]);
    });
    node.addEventListener('blur', () => ring.clearLayers());
  }

  document.addEventListener('keydown', (e) => {
    if (e.key !== 'Escape') return;
    if (byId('twin').classList.contains('shown')) cover('twin', false, byId('table-open'));
    else if (!byId('sources').hidden) cover('sources', false, byId('sources-open'));
    else if (document.body.classList.contains('choosing')) closeRail();
    else if (state.place >= 0) closePlace();
  });
  byId('panel-close').addEventListener('click', closePlace);

  /* ---------------------------------------------------------------- start */

  function frame() {
    state.busy = true;
    // Between phone and desktop the panel lies over the map: the country is fitted beside it.
    const over = narrow.matches && !phone.matches && state.place >= 0 ? byId('panel').offsetWidth : 0;
    const start = state.lang.dir === 'rtl' ? over : 0;
    map.fitBounds(places.getBounds(), {paddingTopLeft: [start + 8, 8], paddingBottomRight: [over - start + 8, 8], animate: false});
    state.fit = map.getZoom();
    map.setMinZoom(Math.max(1, state.fit - 1));
    state.busy = false;
  }

  const position = {};
  units.pcode.forEach((p, i) => (position[p] = i));
  places.eachLayer((shape) => (shapes[shape.feature.id] = shape));
  root.classList.add('js');
  map.invalidateSize({pan: false});
  map.setMinZoom(1);
  frame();
  shapes.forEach(listen);
  for (const line of data.lines.adm2) districts.addLayer(L.polyline(line, quiet('lines', {color: '#2B3641', weight: 0.9, opacity: 0.6})));
  for (const line of data.lines.adm1) L.polyline(line, quiet('lines', {color: '#2B3641', weight: 1.3})).addTo(map);
  map.on('zoomend viewreset', () => {
    if (map.getZoom() >= 8) districts.addTo(map);
    else districts.remove();
    drawMarks();
  });
  map.on('moveend', () => map.getZoom() >= 9 && drawMarks());
  map.on('movestart', () => (state.moved = state.moved || !state.busy));
  const settle = () => {
    map.invalidateSize({pan: false});
    if (!state.moved && !(phone.matches && state.place >= 0)) frame();
    if (state.place >= 0) setSheet(state.stop || 'half');
    rings.eachLayer((r) => r.options.households && r.setRadius(radius(r.options.households)));
    drawLegend();
    drawMarks();
  };
  window.addEventListener('resize', settle);

  const held = recall();
  state.layer = data.layers.find((l) => l.key === held.layer && !empty(l)) || data.layers[0];
  speak(data.langs.find((l) => l.code === held.lang) || data.langs[0]);
  show(state.layer);
  settle();
  state.moved = false;
  state.ready = true;
  if (held.place in position) openPlace(position[held.place], false);
}
