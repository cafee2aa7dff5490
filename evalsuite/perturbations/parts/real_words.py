"""Words that a slip would write in place of another word: what noise makes of a word is never one of them.

Source: ours. All words of HEAD-QA, MedQA, MedMCQA and CasiMedicos that stand there twice or more and are one slip of the keyboard or one
misread letter away from another such word (perfusión and percusión, cases and causes), inflections left out.
"""

from __future__ import annotations

REAL_WORDS = frozenset(
    """
    able aches actin acting action adapt adapted adaptive addiction addictive addition additive adherens adheres adopt adopted adoptive
    agar aid ale alert alien alkyl allen allyl alteration alternation ambiguous anaemia anaesthesia anaesthetic analyses analyzes anemia
    anesthesia anesthetic anti apert apgar ara arc arch arches area aura avid avoid awake awoke back bacteroides bacteroids bad bald band
    bands bank bar barr barré bases bat bath baths bats bead beak bear became become bed behavior behaviour being beings bell belly below
    bend bias biases bile bind binding binds biphosphate bis bisphosphate black blank blind blinding block blood bloody blow blue body
    bond bonding bonds bone bore borne bought bound bounding bow bowel bowl brachial brachycephaly branchial brand bread break breastfed
    breastfeed breathes breaths bring brings bronchial brought buds bulk bulky burn burns burnt burs burst bus busy caesarean calculous
    calculus came camp camping cane canes cans cap carbamoyl carbamyl card cards care cares carey caries carriers carries cases cast casts
    cat catalysed catalyses catalyzed catalyzes cats cause causes cesarean chain checks cheeks chi chin china chip cholecalciferol
    chromatograph chromatography clamp click clinic clock clone clones clonic closes closest clot cloth clothes cloths clots coal coast
    coil coiled col cold colecalciferol coli colic colon colonic colony color colored colour coloured coma come comes comma complain
    complains complaint complaints compliant concerted cone cones confirmation conformation confusion conjunctivae conjunctive cons
    constricted constriction constrictive constructed construction constructive contact contacting contacts continent contingent contract
    contracting contracts contusion convert converted cooked cooking cool cooled cooling coping copying cord cords core cori corner
    cornier corti cost costs could count country county cover covert cramping cries crises crushing cup cups curd cure cured cures curve
    curved curves cushing cusp cusps cyclin cycling dad dairy dead deal defect defective defects deflective del deletion deli deliver
    delivery denature denture depletion depolarisation depolarization deprivation derivation derive derives detect detects diarrhea
    diarrhoea diary did die died diels dies diet diethyl diets difficult difficulty dimer dimethyl dinner diphtheria discover discovery
    does doing don donor donors door doors doses dosing down dried drive drives drooling droop drooping drop drying ducts ductus due duel
    duke dying dyspnea dyspnoea echo endogenous endovenous erythematosus erythematous ester esther ether even event exert exerts
    exfoliation exist exists exit exits expert experts extraversion extroversion faces facies facing fact factor factory facts fading
    failing fair falling far farmer farms fast fat fats fear fed feed fertilisation fertilization fibers fibre fibres fight file filing
    fill filling film fire fired firm fischer fisher fist fit flat flight float flood flu flux foam foamy folds food foods for forceps
    forces fork form former forms fort forum fowler fried friend from fruit fruity full fully gain gauze gaze gelatin gelation generalised
    generalized generic genetic gilbert glands glans glucogenic glucolysis glucosidic glycogenic glycolysis glycosidic gonadotrophin
    gonadotropin got gout gouty gradation graduation grafting grain grass grating grid grind groin gross guilt guilty gums gut had
    haematopoietic haemoglobin haemolytic haemorrhage haemorrhagic hair hairy ham hand hard harm hea head health healthy hear heard
    hearing heart heat heating help hematopoietic hemianopia hemianopsia hemithorax hemoglobin hemolytic hemorrhage hemorrhagic hemothorax
    heterogeneous heterogenous histiocytes histones histories hoarse homogeneous homogenous horse host hot hunger hunter hypochondria
    hypochondriac hypoglycaemia hypoglycemia identifies identities implant indeed indices induces inert infer infested infra ingested
    inhibitor inhibitory insert inter intra irrigated irrigating irrigation irritated irritating irritation jerk jerky join joins joint
    joints lability labor labour lacking lactase lactose lamp langer lap last late later latex lathe latter lawyer layer lead lean leaning
    learn learning led liability lice lie lies life like limp line linear lined liner liners lines lining linked linking linoleic
    linolenic lip list live lives locking lone longer loose lose loses loss losses lost lot love lump made makes making males maltase
    maltose managers manages march margin marking martin master match mater matter meal meals mean meant meat meats meatus mediated
    medicated meet meiosis melt ment mental mention menton mere merge mesio meso met metabolised metabolized metal metals micro
    microcystic microcytic microg mid mild miles milk milky mind mins minus miosis miotic mitosis mitotic modality mode modeling modelling
    models modes mold moles mom monsoon moth mouth myoma myxoma nail naive native navel necrotising necrotizing nephritic nephrotic net
    neural neuritic neurotic neutral next nil noise non noon nose novel nuclei nucleic oculomotor odor odour oil oily optic ore orem otic
    over overt oxalacetate oxaloacetate pacing packets packing pads page paget pain pains paint painting pairs palate pale palpate
    papillomavirus parent paris parity park part partly party pas past patch patchy patency patent path patient pay paying pear pentose
    per perforin perforins perform performed performs person phage phase phases phosphorous phosphorus phrase phrases piaget pick pie pill
    pills pilot pin pinch pink pins pipe pitting placing plain plan planes plans plant plants planus plate play playing plot plus pockets
    pointing poison poisson pole poly polymerisation polymerization pons pool pore porion pork port portion post potency potent powder
    powders power powers pre preformed prick prion prison pro promoted promoters promotes promoting prompted prompting proptosis
    proteasome proteosome providers provides pubic public pull pulls punch pure purpura purpurea pus push puts putting pylori pyloric
    pyroptosis quadruple quadrupole quiet quit radial radical radiograph radiography radiopacity rage raise raises raising rales ran range
    rank rape raphe rays read ready real receivers receives recover recovery red reducers reduces reed reevaluation regain regained
    regulator regulatory relieve relive renal retain retained revaluation revascularisation revascularization reye rhinorrhea rhinorrhoea
    ribs ride rides ridge ridges riding rinse rinsing rise rises rising risk risky road rod roles rub rubs ruby rude rugby rye sac sach
    sad said salt sand sat say says scaling scan scant score sea sealing seat secretin secreting secretion see seeds seeing seek seeking
    seeks seem seems seen sees selectin selecting selection self semen send sending sensor sensory sent sera serious serous set sexes
    sharing shearing shelf shop short shot shout show showing sick side sides sight simple simplex simulated simulation sit site sites
    sits situ skill skip skull sleep sleepy slide slides slight slip slit slowing smokers smokes snow soil sol sold sole solid solve soon
    soot sore sort sowing spain span sparing speeds spend spending spent spin spine spite splint split spoon spore sports spot spots
    sprain spring stab stacking stages staging stain stained staining stains stand stands staring started starting stated states stating
    statins stay stayed stays stealing stent stick sticking sticky stimulated stimulation stock stocking stoma store strain strained
    straining strains strand strands stranger stricture string stroma strong stronger struck structure stuck suck supine sweat sweaty
    synthesised synthesized table tablet tail taking talking tall tap tapping tar tay tea teacher team tear tend tends testes testis tests
    the them they thick thin thing think thirst thirsty thoracostomy thoracotomy thorough though thought thread thready threat through
    thrust tic tick ticks tics till tin tiny tip tipped tips tired tires toe toes toll tone tones tracing tracking trail transferrin
    transferring transit transmit trap trapping tray treacher treat trend trends trial tribal tried tries trip triphosphate tripped trips
    trisphosphate trochlear trust try tumor tumors tumour tumours tuning turning twin tympani tympanic umbilical users uses vagus val
    valgus varices varies venosus venous ventilator ventilatory vera versa vertebrae vertebrate vial vice villous villus violent violet
    viral visual vital voice waist wait wake waking walked walking walled walls waning want war ward wards warm warming warning was wash
    water watery ways wear wedging weighs weight weights went were wet what wheat where while who whole whom width will willi win wing wit
    with woke word words world worm

    acidez acilio acilo acoso activado activando acuoso adaptar adicciones adicción adiciones adición aditiva administrar administrará
    adoptar afectado afectando agar agua aguas agudas aguja ala alba alfa aliento alimento alma altera alterada alterado alteran alterando
    alterar alterna alternada alternan alternando alternar american angular antero antirretroviral antro anular aorta apartados apgar
    aplicado aplicando aplicar aplicará aporta aportados arteritis artritis asa asia asma asociado asociando asuma audición auditiva auer
    aviar avidez avisar ayer ayudas balsas banco bandas barr barrido barrio barré bazo beber beer bien blanco blancos blandas blandos
    bloqueado bloqueando bola bolsa bolsas brazo brusca buen bueno busca buteno cabe cable cae cajas caliente calientes calor cama camas
    cambiado cambiando capa capaz capta cara caras carbamil carbamoil carecen carecer carga cargas carta casa casado casi casual
    casualidad causa causado causal causalidad cera cerca cinta cita clara claras claro clase cliente clientes cloración cloro codones
    codón colocar colocará color coloración coma come comer comete como compartimento compartimiento comprensión compresión comprobado
    comprobando con conciencia confirmación confirman conformación conforman consciencia considerado considerando considerar considerará
    consta contado contando copa copia cordones cordón corea cori corta corti costa crea crece crecen crecer cree crema cromo cruz cruzi
    cuasi cura curas cursa cursar cursará curva curvas dada dado dando dar dará deber deberá dejado dejando delección deleción delegado
    delgado demostrado demostrando deprivación derivación descendente descendiente detectar detectará diada dichas dietil dimetil disfonía
    distonía duchas empezado empezando empleado empleando encontrado encontramos encontrando encontrarnos enfermera enfermería ente entera
    entra entre esa esas escrito escroto ese esférica eso esos esta estadio estadios estado estados estadío estando estar estará estas
    este ester esther estilo estima estirado esto estoma estos estriado estroma estudiado estudiando estérica etilo etiológico etológico
    europa europea evaluado evaluando exploración explotación extraversión extroversión facilitado facilitando fallo fallot fase fases
    fecha firmado firme fischer fisher flecha formado formando forme fosa fowler frase frases fuera fuerza gasas gasto gastro gato
    generado generando genérico genéricos genético genéticos giardia girasa glicosídico glicosídicos glicólisis glucosídico glucosídicos
    glucólisis gradación graduación grasa grasas gripal grupal guardia habitación habituación habría había hagan haría hayan hebras
    hembras hijas hipercalcemia hipercalemia hipocrómico hipsocrómico histona historia hojas huecos hueso huesos huevos huso husos
    identificado identificando ido incluido incluir incluye incluyen indicado indicando indicios inferiores inferir influido influir
    influye influyen informar informará ingerir inicios insuficiencia interiores iodo irrigación irritación isotipo isotopo juego jugo
    largas larvas legal letal leve leves lewy ley leyes liasa libera liberado liberando ligadas ligado ligando ligasa ligasas ligera
    lipasa lisas listas llegaba llegada llegan llegar llevaba llevada llevan llevar llevará lleve mala malla mando mano manto mar marca
    marcan marcha marfan marido mediada mediadas mediado medias medida medidas medido medidos medios meiosis mejora mejores mejoría
    menores mental mentales metal metales micosis micro microg miosis mitosis modificado modificando mola mono mostrado mostrando
    multiplicado multiplicando nernst neural neutral nevo nuevo ocupado ocupando oficial oficinal onda oro orto otro padece padecen
    padecida padres paget pan parece parecen parecida pares paro partes parto pasa pasado pasando pase pasos pasta pata patau patente
    pausa pauta pedro pensar percusión perfusión perro pesado pesados pesar pescado pescados piaget picos pide pie pies pilar plan plana
    planas planta plantar plantas plantea planteado planteando plantear plata pocos podría polar poli polos polvos pondría poro
    posganglionares posparto postganglionares postparto potente precio preciso presentado presentando presentar presentará previo pro
    proceder procederá producir producirá prolongado prolongando prono pronto propilo propio protección provocado provocando proyección
    pudo puedo pues puro péptidoglicano péptidoglucano púbico público radial radical ramas rampas real reales realizado realizando
    realizar realizará receptores receta recomendar recomendará recta regla reglada regula regulada renal renales retirado retirando sacra
    sala sale salga sana santa sara sea seca seno sepa separado separando ser seres series serio será siente siga sigma silente simple
    simplex solicitar solicitará solos soplos sra substancias substrato sustancias sustrato tacto taenia talón tampón tapón tarda tardía
    tejido temido temor tenia tenido tiende tienden tiene tienen tiraje tiroideas tiroides tirosina tiroxina tomado tomando tono torno
    tracto trampa trans transcripción transcurrido transferencia transfusión translocación transmisión transmitir transmitirá transplante
    transportador transporte tras trascripción trascurrido trasferencia trasfusión traslocación trasmisión trasplante trasportador
    trasporte tratado tratando tremor triaje trifosfato trisfosfato trompa unas ureteral uretral usado usando utilizado utilizando
    utilizar utilizará uñas val valor valorado valorando vapor ver verá viaje vial vida viraje viral virales visita vista vital vitales
    viuda viva vivax éster ésteres éter éteres
    """.split()
)
